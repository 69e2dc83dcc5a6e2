"""A space becomes trials: suggestions, the searcher, the executors, pruning."""
