"""Built-in plugins: one file is one plugin, registered through its entry point like a third party's."""
