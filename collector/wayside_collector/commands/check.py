"""`check`: says everything that is wrong with a configuration. Nothing is started, created or connected to."""

import argparse
from pathlib import Path

from .. import config
from .base import Command, say, show


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="FILE")


def _run(chosen: argparse.Namespace) -> int:
    found = config.load(chosen.config, config.environment())
    for warning in found.warnings:
        say(f"warning: {warning}")
    show(
        f"{chosen.config} is right: sinks {', '.join(sink.name for sink in found.sinks) or 'none'}; "
        f"sources {', '.join(sampler.name for sampler in found.samplers) or 'none'}; spool {found.spool_path}"
    )
    return 0


COMMAND = Command(
    "check",
    "say everything that is wrong with a configuration",
    {"wayside-collector check wayside.yaml": "exit code 0 when it is right, 2 with every problem when it is not"},
    _arguments,
    _run,
)
