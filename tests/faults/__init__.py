"""Faults made on this machine, call by call: what the collector and its clients do then."""
