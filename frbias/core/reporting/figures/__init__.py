"""Figures of evaluations and comparisons."""
