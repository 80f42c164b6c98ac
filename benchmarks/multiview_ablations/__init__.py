"""The ablations of the multi-view network; see `__main__`."""
