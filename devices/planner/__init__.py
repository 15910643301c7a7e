"""The planner: predicts the seconds, memory and energy of a scan on a device that need not be there."""
