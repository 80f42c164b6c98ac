"""Poses over time: gaps, smoothing, the root's trajectory, placement in the world."""
