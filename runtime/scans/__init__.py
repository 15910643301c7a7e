"""Reads and writes scans and label maps: headers, geometry, and voxels at once or plane by plane."""
