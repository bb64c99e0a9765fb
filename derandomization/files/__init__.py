"""Readers of files from outside the project: bounded in size, never unpickled, clear errors."""
