"""Comparison scores, error rates, fairness measures and their uncertainty. Needs neither torch nor images."""
