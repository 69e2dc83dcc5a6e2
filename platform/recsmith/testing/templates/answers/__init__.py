"""Tests of the templates' plugins against answers worked out by hand; they are written into a new distribution too."""
