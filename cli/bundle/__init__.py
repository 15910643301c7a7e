"""`bedside bundle`: what is done with a finished bundle before it is given away."""
