"""Thin command modules: they parse, call and print."""
