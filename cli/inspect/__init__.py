"""What `bedside inspect` shows of a bundle and of a run; `bedside export` ends with the same of its bundle."""
