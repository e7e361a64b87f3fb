"""Ageing data sets read into one table of samples."""
