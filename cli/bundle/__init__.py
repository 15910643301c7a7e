"""`bedside bundle`: what is done with a finished bundle: signed, zipped, its network taken out."""
