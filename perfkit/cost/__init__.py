"""What a service costs: price books, architectures, and the bill that follows from both."""
