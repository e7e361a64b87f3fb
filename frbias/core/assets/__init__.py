"""Weights and data packs: where they come from, how they are checked."""
