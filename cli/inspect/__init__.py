"""`bedside inspect`: tables of a run; those of a bundle are in `tables`, because `bedside export` prints them too."""
