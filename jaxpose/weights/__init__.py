"""Released names, weights files and Orbax checkpoints."""
