"""Windows over the volume: where they lie, what they are fed with, and how their scores are blended."""
