"""Logs with known answers and the conformance suite, for plugin authors and for our own tests."""
