"""`bedside dataset`: looking at a data set, and at the cases prepared from it."""
