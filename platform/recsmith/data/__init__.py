"""Reads, checks, numbers, splits and encodes a log."""
