"""Comparison scores: computing, counting, binning and reading them."""
