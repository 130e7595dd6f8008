"""perfkit measures what DynamoDB access patterns cost and what indexes and caches change."""

__version__ = "0.1.0"
