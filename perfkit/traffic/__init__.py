"""What an application asks of DynamoDB: recorded, shown, and checked for what is wrong."""

from perfkit.traffic.attached import Attached, attach

__all__ = ["Attached", "attach"]
