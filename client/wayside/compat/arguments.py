"""The guides' command lines: their flags on any parser, and a run from what was parsed.

parser = argparse.ArgumentParser()
wayside.compat.add_arguments(parser, like="bitnet")
run = wayside.compat.init_from_args(parser.parse_args())
"""

import argparse
from importlib import import_module
from typing import Any, Optional

from ..runs import Run

#: A guide to a flag that no other one has.
FLAGS = {"bitnet": "disable_wandb", "diffsynth": "use_wandb"}


def add_arguments(parser: argparse.ArgumentParser, like: str = "bitnet") -> argparse.ArgumentParser:
    """Give a parser the flags of a guide, with its defaults, and return it. Raises ValueError for one that has none."""
    found: argparse.ArgumentParser = _guide(like).add_arguments(parser)
    return found


def init_from_args(args: argparse.Namespace, like: Optional[str] = None, config: Any = None) -> Run:
    """Begin the run that these arguments ask for, and make it the current one; where they ask for none, and on every
    rank but the first, a run that keeps nothing. like: whose flags they are; without it, as they are recognised by.
    config: what is to be recorded in the place of the arguments themselves.
    """
    found: Run = _guide(like or _recognised(args)).init_from_args(args, config)
    return found


def _recognised(args: argparse.Namespace) -> str:
    for like, flag in FLAGS.items():
        if hasattr(args, flag):
            return like
    flags = ", ".join(f"--{flag}" for flag in FLAGS.values())
    raise ValueError(f"these arguments hold none of {flags}: call wayside.compat.add_arguments(parser, like=…) before")


def _guide(like: str) -> Any:
    if like not in FLAGS:
        known = " or ".join(repr(name) for name in FLAGS)
        raise ValueError(f"like={like!r}: a guide with flags of its own is {known}")
    return import_module(f"{__package__}.{like}")
