"""Judges ranked lists and ratings, with intervals and paired tests."""
