"""EG3D-Age, a 3-D aware generator."""
