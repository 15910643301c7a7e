"""What all teachers around SAM need: its sizes, its building blocks, its checkpoints."""
