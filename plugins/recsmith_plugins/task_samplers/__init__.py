"""Built-in task samplers."""
