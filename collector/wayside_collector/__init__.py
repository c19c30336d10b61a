"""Wayside's collector: one asyncio process beside a training job that keeps every point on disk and delivers it."""

__version__ = "0.1.0"
