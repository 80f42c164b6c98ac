"""Human3.6M: joints and keypoints, and image features for GLoT."""
