"""What travels: rows and events, as both ends of the wire understand them.

A *row* is one `log()` call, a *point* one metric of one row, an *event* anything that is not a row. Rows and events
of one session share one sequence: `seq` counts both, from 0, without reuse, and is with the session their identity
for ever.
"""

from typing import Any, Dict, NamedTuple, Optional, Tuple

#: Kinds of event a client of this version writes. A reader keeps and passes on kinds it does not know.
CONFIG = "config"  # {"set": {key: value}, "remove": [key]}: the run's configuration changes
SUMMARY = "summary"  # {"set": {key: value}, "remove": [key]}: the run's summary changes
ALERT = "alert"  # {"title": str, "text": str, "level": "INFO"|"WARN"|"ERROR", "wait": seconds}
TEXT = "text"  # {"values": {name: str}}: the strings of one `log()` call
DEFINE_METRIC = "define_metric"  # {"name": str, "step_metric": str, "summary": str, "hidden": bool, …}
ABOUT = "about"  # what the run is: {"command": […], "git": {…}, "python": str, "packages": {…}, …}
DETECTION = "detection"  # {"framework", "base_framework", "confidence", "evidence": {…}, "hints": {…}}
CLIENT = "client"  # the client's own counters: {"refused": {reason: points}, …}
FINISH = "finish"  # {"exit_code": int}
MEDIA = "media"  # {"name", "type", …}: a picture, table, histogram; its bytes in "base64" or in a file (docs/media.md)
ARTIFACT = "artifact"  # {"name", "type", "aliases", "files": [{"path", "source", "size", "mtime"}], "references", …}
SAVE = "save"  # {"files": [{"path", "source", "size", "mtime"}], "policy": str}: files of the run itself


class Row(NamedTuple):
    """One `log()` call.

    seq: place in the session's sequence. time: Unix time in seconds. step: the user's step, the run's own counter
    when the user gave none (`auto_step` tells which), or None when the sender counts no steps. commit: whether the
    call closed its step. names, values: the points, in the order logged.
    """

    seq: int
    time: float
    step: Optional[int]
    commit: bool
    auto_step: bool
    names: Tuple[str, ...]
    values: Tuple[float, ...]

    @property
    def metrics(self) -> Dict[str, float]:
        """The points as a fresh dictionary, name to value."""
        return dict(zip(self.names, self.values))


class Event(NamedTuple):
    """Anything that is not a row; `kind` is one of the names above, `data` what stands beside it there."""

    seq: int
    time: float
    step: Optional[int]
    kind: str
    data: Dict[str, Any]
