"""Penn Action, in the form that GLoT reads."""
