"""The study on disk, read and written."""
