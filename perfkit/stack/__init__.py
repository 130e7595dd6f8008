"""The way to AWS: the reference's "after" as a CloudFormation template, and what it costs."""
