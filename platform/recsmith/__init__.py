"""recsmith."""
