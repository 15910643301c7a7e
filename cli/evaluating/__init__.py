"""What `bedside evaluate` is made of: tables and JSON of the scores."""
