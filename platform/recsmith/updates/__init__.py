"""Over time: an artifact goes on learning from newer rows, and is judged beside what it was."""
