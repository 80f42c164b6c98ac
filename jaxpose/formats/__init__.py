"""Other people's files: keypoints, BVH, ASF/AMC, calibration, benchmark containers.

Readers return NumPy arrays with units and axes of this library. What a file does not
say (unit of length, axis that points up, frame rate) is an argument.
"""
