"""The embedded parametric head renderer."""
