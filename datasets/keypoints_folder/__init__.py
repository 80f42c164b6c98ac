"""Any folder of 2D keypoints, with 3D joints if there are any."""
