"""Released weights by name, weights files, and the Orbax checkpoints of a run."""
