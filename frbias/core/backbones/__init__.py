"""Trainable recognisers and their named stages."""
