"""Finding faces and bringing them to a template."""
