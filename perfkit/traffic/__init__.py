"""What an application asks of DynamoDB: recorded, shown, and checked for what is wrong."""
