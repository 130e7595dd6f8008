"""Scenarios about the reference service: its phases, its switches, its endpoints over HTTP."""
