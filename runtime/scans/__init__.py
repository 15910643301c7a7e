"""Scans and label maps as files: headers, geometry, and voxels read at once or plane by plane."""
