"""Training of recognisers: options, freezing, batches, losses, cache, the loop."""
