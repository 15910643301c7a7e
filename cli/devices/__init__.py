"""The commands of the group `bedside devices`."""
