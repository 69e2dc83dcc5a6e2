"""The nouns: what plugins promise, what a plan says, what comes out. Imports nothing of ours."""
