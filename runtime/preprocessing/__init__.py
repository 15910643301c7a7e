"""From a scan's voxels to what the network sees: orientation, resampling, intensities, body, plausibility."""
