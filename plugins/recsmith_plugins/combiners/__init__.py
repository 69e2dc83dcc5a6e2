"""Built-in combiners."""
