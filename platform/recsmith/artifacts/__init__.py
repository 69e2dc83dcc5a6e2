"""Saves, loads, verifies and exports what a study found."""
