"""Poses over time: gaps, smoothing, the root's trajectory, placement in the world.

The package knows no models: it works on arrays of joints and keypoints.
"""
