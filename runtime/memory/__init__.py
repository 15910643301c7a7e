"""How much memory there is, how much this process holds, and memory that goes back when it is released."""
