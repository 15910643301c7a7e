"""From a scan's voxels to the network's input: orientation, resampling, intensities, body mask, plausibility."""
