"""The stages: each reads a folder and writes a folder that explains itself."""
