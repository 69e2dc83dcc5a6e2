"""Names in files become objects: plugins, the registry, search spaces, plans."""
