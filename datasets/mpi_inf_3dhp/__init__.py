"""MPI-INF-3DHP: joints and keypoints, and image features for GLoT."""
