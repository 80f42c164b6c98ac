"""HumanEva-I, as prepared by VideoPose3D."""
