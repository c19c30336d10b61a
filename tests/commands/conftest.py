"""Fixtures of the commands' tests."""

from commands.history import store

__all__ = ["store"]
