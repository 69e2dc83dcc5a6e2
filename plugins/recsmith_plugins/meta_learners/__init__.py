"""Built-in meta learners."""
