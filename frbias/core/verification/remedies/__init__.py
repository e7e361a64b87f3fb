"""What can be done about unequal error rates without training: thresholds per group and normalisation of scores."""
