"""Pictures, tables, histograms and checkpoints by the guides' calls. A path that is not there is told, not raised."""

import os
from typing import Any, Mapping, Optional

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
    """Record a file, or a folder with all that is in it; whether there was one."""
    place = os.fspath(path)
    if not os.path.exists(place):
        run.notices.refuse("no such artifact", f"the artifact {name!r} is not kept: there is nothing at {place}")
        return False
    made = _made(run, "Artifact", name=name, type=type, description=description, metadata=dict(metadata or {}))
    if made is None:
        return False
    if os.path.isdir(place):
        made.add_dir(place)
    else:
        made.add_file(place)
    run.log_artifact(made)
    return True


def log_media(run: Run, name: str, kind: str, *values: Any, **named: Any) -> None:
    """Log an Image, Table or Histogram of the values under a name."""
    made = _made(run, kind, *values, **named)
    if made is not None:
        run.log({name: made})


def _made(run: Run, kind: str, *values: Any, **named: Any) -> Any:
    """An object of this class of ours; None, and the user told, where the values make none."""
    known = getattr(wayside, kind, None)
    if known is None:
        run.notices.refuse(f"no {kind}", f"this client keeps no {kind}: it is left out, and the training goes on")
        return None
    try:
        return known(*values, **named)
    except (TypeError, ValueError, OSError) as problem:
        run.notices.refuse(f"unfit {kind}", f"a {kind} is not kept: {problem}")
        return None
