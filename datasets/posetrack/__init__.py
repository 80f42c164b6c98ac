"""PoseTrack, in the form that GLoT reads."""
