"""Face recognisers: anything that turns aligned faces into embeddings."""
