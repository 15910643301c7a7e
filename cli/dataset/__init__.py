"""`bedside dataset`: checks a data set, and lists or clears the cases prepared from it."""
