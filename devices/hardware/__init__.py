"""Hardware: describes this machine, and the devices that are known by a profile."""
