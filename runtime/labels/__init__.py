"""From blended scores to the label map on the scan's own grid, and its post-processing."""
