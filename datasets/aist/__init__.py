"""AIST++: dances before nine calibrated cameras."""
