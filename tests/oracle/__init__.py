"""Whole worlds of trainers, collectors and sinks under random faults, and an oracle that knows every row of them."""
