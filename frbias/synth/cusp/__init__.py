"""CUSP age editing of photographs."""
