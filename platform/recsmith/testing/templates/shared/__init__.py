"""Files that a new distribution has whatever the kind of its plugin."""
