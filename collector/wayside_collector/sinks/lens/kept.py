"""What the sink keeps between parcels, with the cursor: each run's last step, and hardware samples no step has taken.

`Kept` lays the changes of one send over what was committed, so that a send that is cancelled has changed nothing.
Keys are `target/RUN` (JSON, path in the config to a number) and `sample/RUN/POD` (JSON, Primus's name to value).
Must not live here: rows. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from ...session import Session
from .options import MAX_INT32

MAX_KEPT = 1000  #: keys; two for each run that is open, so hundreds of runs in one gateway; beyond, the oldest goes
MAX_TOTALS = 32  #: places of one config that look like a number of steps
_MAX_DEPTH = 4  # of a config's objects: every framework we know has it in the second

#: Where frameworks keep the number of steps of a run in its config, the surest first: Megatron and Primus, HF and
#: Lightning, nanoGPT and mmengine, accelerate and diffusers, verl, torchtitan.
TOTAL_STEPS = (
    "target_iteration",
    "train_iters",
    "max_steps",
    "max_iters",
    "max_train_steps",
    "num_train_steps",
    "total_training_steps",
    "num_training_steps",
    "total_steps",
    "training.steps",
)


class Kept:
    """The kept state as this send sees it. changes: what it will have changed. dropped: keys given up to MAX_KEPT."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self._now = dict(state)
        self.changes: dict[str, bytes | None] = {}
        self.dropped = 0

    def get(self, key: str) -> bytes | None:
        return self._now.get(key)

    def put(self, key: str, value: bytes) -> None:
        while key not in self._now and len(self._now) >= MAX_KEPT:
            self.remove(next(iter(self._now)))
            self.dropped += 1
        self._now[key] = self.changes[key] = value

    def remove(self, key: str) -> None:
        if self._now.pop(key, None) is not None:
            self.changes[key] = None

    def forget(self, run: str) -> None:
        """The run is finished: nothing of it is needed any more."""
        samples = f"sample/{_part(run)}/"
        for key in [key for key in self._now if key == _target_key(run) or key.startswith(samples)]:
            self.remove(key)


# --- the run's last step ---------------------------------------------------------------------------------------------


def take_config(kept: Kept, run: str, data: Mapping[str, Any]) -> None:
    """Keep what a CONFIG event (`wayside.row`) says of the run's number of steps."""
    known = _read(kept.get(_target_key(run)))
    found = data.get("set")
    removed = data.get("remove")
    set_: dict[str, Any] = found if isinstance(found, dict) else {}
    gone = {_path(key) for key in (*set_, *(removed if isinstance(removed, list) else ()))}
    totals = {
        path: total for path, total in known.items() if not any(path == g or path.startswith(g + ".") for g in gone)
    }
    totals.update(_totals(set_, "", 0))
    if totals != known:
        kept.put(_target_key(run), msgspec.json.encode(dict(list(totals.items())[:MAX_TOTALS])))


def target(kept: Kept, run: str) -> int | None:
    """The run's last step, by the surest of the names its config has, the shallowest of those; None without one."""
    totals = _read(kept.get(_target_key(run)))
    for suffix in TOTAL_STEPS:
        paths = [path for path in totals if f".{path}".endswith(f".{suffix}")]
        if paths:
            return int(totals[min(paths, key=lambda path: path.count("."))])
    return None


def _target_key(run: str) -> str:
    return f"target/{_part(run)}"


def _part(run: str) -> str:
    return quote(run, safe="", errors="replace")  # a run may be called what it likes, slashes included


def _path(key: object) -> str:
    return str(key).replace("/", ".").lower()


def _totals(config: Mapping[str, Any], above: str, depth: int) -> Iterator[tuple[str, int]]:
    for key, value in config.items():
        path = above + _path(key)
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _totals(value, path + ".", depth + 1)
        elif any(f".{path}".endswith(f".{suffix}") for suffix in TOTAL_STEPS) and _is_total(value):
            yield path, int(value)


def _is_total(value: object) -> bool:
    # HF says -1 for "by epochs", others 0 or null: those are no number of steps.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value <= MAX_INT32


# --- samples ---------------------------------------------------------------------------------------------------------


def sample_key(session: Session) -> str:
    """Where the samples for a training session wait: by run, and by pod, since Primus's names do not say which pod."""
    return f"sample/{_part(session.run.id)}/{session.pod.uid or session.pod.name or session.host}"


def put_sample(kept: Kept, sessions: Iterable[Session], values: Mapping[str, float]) -> int:
    """Keep a sample for the next step of each of these runs; how many values it takes the place of, for all of them."""
    superseded = 0
    for key in {sample_key(session) for session in sessions}:
        waiting = _read(kept.get(key))
        superseded += len(waiting.keys() & values.keys())
        kept.put(key, msgspec.json.encode({**waiting, **values}))
    return superseded


def take_sample(kept: Kept, session: Session) -> tuple[tuple[str, bytes] | None, dict[str, float]]:
    """Take the sample that waits for a step of this session: what `give_back` needs, and its values."""
    key = sample_key(session)
    waiting = kept.get(key)
    if waiting is None:
        return None, {}
    kept.remove(key)
    return (key, waiting), _read(waiting)


def give_back(kept: Kept, took: tuple[str, bytes]) -> int:
    """The step that took it was not sent: it waits again, below what has come since; how many values that cost."""
    key, value = took
    older, newer = _read(value), _read(kept.get(key))
    kept.put(key, msgspec.json.encode({**older, **newer}))
    return len(older.keys() & newer.keys())


def _read(value: bytes | None) -> dict[str, float]:
    return {} if value is None else msgspec.json.decode(value, type=dict[str, float])
