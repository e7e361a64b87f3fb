"""Fault campaigns: what frbias survives is tried, not believed. ``make faults`` runs them all."""
