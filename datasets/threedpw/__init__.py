"""3DPW, in the form that GLoT reads."""
