"""Pictures, tables, histograms and checkpoints by the guides' calls. What cannot be kept is told and counted, where the
classes themselves raise.
"""

import os
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional

import wayside

from ..runs import Run


def log_artifact(
    run: Run,
    path: Any,
    type: str,
    name: str,
    description: Optional[str] = None,
    metadata: Optional[Mapping[str, Any]] = None,
) -> bool:
    """Log a file, or a folder with all that is in it; whether there was one."""
    logged = False
    with kept_or_told(run, "artifact", name):
        place = os.fspath(path)
        if not os.path.exists(place):
            raise ValueError(f"there is nothing at {place}")
        made = wayside.Artifact(name=name, type=type, description=description, metadata=dict(metadata or {}))
        if os.path.isdir(place):
            made.add_dir(place)
        else:
            made.add_file(place)
        run.log_artifact(made)
        logged = True
    return logged


def log_media(run: Run, name: str, kind: str, *values: Any, **named: Any) -> None:
    """Log an Image, Table or Histogram of these values under a name."""
    with kept_or_told(run, kind.lower(), name):
        run.log({name: getattr(wayside, kind)(*values, **named)})


@contextmanager
def kept_or_told(run: Run, kind: str, name: str) -> Iterator[None]:
    """What is no picture, no table, no model costs itself alone; told once for each kind."""
    try:
        yield
    except (AttributeError, OSError, TypeError, ValueError) as problem:
        run.notices.refuse(f"unfit {kind}", f"the {kind} {name!r:.80} is not kept: {problem}")
