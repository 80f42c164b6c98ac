"""Human3.6M, in the form that GLoT reads."""
