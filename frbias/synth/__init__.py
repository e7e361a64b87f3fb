"""Generators of faces of known identity and age."""
