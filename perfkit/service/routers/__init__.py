"""The path functions, by what they are about."""
