"""Face recognisers as trainable networks of named stages."""
