"""Other people's files: keypoints, BVH, ASF/AMC, calibration, benchmarks."""
