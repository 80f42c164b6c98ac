"""Procedural human motion, the default dataset of jaxpose."""
