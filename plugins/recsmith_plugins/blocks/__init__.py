"""Built-in blocks."""
