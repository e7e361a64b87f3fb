"""Tables of samples, images, embeddings, the loop that makes image sets, and data sets."""
