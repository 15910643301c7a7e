"""The bundle: its description, its checks before anything is parsed, and how it is opened."""
