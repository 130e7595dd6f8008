"""Processes that perfkit starts: kept running, told apart, ended; and the sockets they share."""
