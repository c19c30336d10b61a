"""`check`: says everything that is wrong with a configuration. Nothing is started, created or connected to; of the
files it names, those with tokens are read.
"""

import argparse
from pathlib import Path

from ..configuration import config
from .base import Command, say, show


def _arguments(parser: argparse.ArgumentParser) -> None:
    named = parser.add_mutually_exclusive_group(required=True)
    named.add_argument("file", type=Path, metavar="FILE", nargs="?", help="YAML; see docs/configuration.md")
    named.add_argument("-c", "--config", type=Path, metavar="FILE", help="the same, as every other command has it")


def _token_problems(found: config.Config) -> list[str]:
    """What a collector would say of its file of tokens, and start all the same: the file may be changed any time."""
    path = found.outside.public.token_path
    if found.outside.listen is None or path is None:
        return []
    from ..web.tokens import file_problems

    return file_problems(path)


def _run(chosen: argparse.Namespace) -> int:
    chosen.config = chosen.config or chosen.file
    found = config.load(chosen.config, config.environment())
    for warning in [*found.warnings, *_token_problems(found)]:
        say(f"warning: {warning}")
    names = [*(one.name for one in found.samplers), *(one.name for one in found.sources)]
    show(
        f"{chosen.config} is right: sinks {', '.join(sink.name for sink in found.sinks) or 'none'}; "
        f"sources {', '.join(names) or 'none'}; spool {found.spool_path}"
    )
    return 0


COMMAND = Command(
    "check",
    "say everything that is wrong with a configuration",
    {"wayside-collector check wayside.yaml": "exit code 0 when it is right, 2 with every problem when it is not"},
    _arguments,
    _run,
)
