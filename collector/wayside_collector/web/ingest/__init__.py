"""Rows that come over HTTP: in our own form (`rows`, `runs`), as AMD's wandb exporter sends them (`lens`), and by
OpenTelemetry's protocol (`otlp`).
"""

from ...sources.posted import PostedSessions
from ..roles import Route
from .lens import LensRuns
from .lens_routes import lens_routes
from .otlp_routes import otlp_routes
from .routes import run_routes
from .runs import Runs


def ingest_routes(posted: PostedSessions) -> list[Route]:
    """Every route by which rows come in over HTTP."""
    return [*run_routes(Runs(posted)), *lens_routes(LensRuns(posted)), *otlp_routes(posted)]
