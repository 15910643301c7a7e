"""The students: small 3D networks, their registry, and what they cost."""
