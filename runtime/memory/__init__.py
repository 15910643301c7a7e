"""Free memory, resident memory, reservations, and arrays whose memory returns to the system when released."""
