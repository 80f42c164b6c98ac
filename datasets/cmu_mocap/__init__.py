"""CMU motion capture in Human3.6M's 17 joints, filmed by virtual cameras."""
