"""Rendered multi-view clips of generated people, the default of multi-view models."""
