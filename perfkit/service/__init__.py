"""The reference service: courses, enrollments and profiles over DynamoDB, every optimisation a switch."""
