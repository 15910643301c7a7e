"""3D-SAutoMed: SAM slice by slice, with prompts of its own and a memory of the slices before; torch comes with it."""
