"""From blended scores to the label map on the scan's own grid, and what may be tidied up in it."""
