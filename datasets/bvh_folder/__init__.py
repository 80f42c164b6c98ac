"""Any folder of BVH files, filmed by virtual cameras."""
