"""Recognisers that can be trained: one module an architecture."""
