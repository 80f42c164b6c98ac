"""MPI-INF-3DHP, in the form that GLoT reads."""
