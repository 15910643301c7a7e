"""Bundles: the manifest, the verification before anything is parsed, and opening."""
