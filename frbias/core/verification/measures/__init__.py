"""Pure functions of counts and rates: error rates, fairness, intervals, noise."""
