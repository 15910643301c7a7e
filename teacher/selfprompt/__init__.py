"""Self-Prompt-SAM: SAM whole and frozen, prompted by auxiliary masks of its own encoder."""
