"""Bytes in and out: whole-file writes, untrusted pickles, PyTorch files, video."""
