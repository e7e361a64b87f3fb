"""How data sets name their pictures: one module a layout."""
