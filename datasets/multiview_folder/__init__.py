"""Synchronised recordings of the user's own cameras."""
