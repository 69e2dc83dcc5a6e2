"""Learns a gradient model: batches, the loop, the meta-learning engine."""
