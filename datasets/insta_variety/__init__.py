"""InstaVariety, in the form that GLoT reads."""
