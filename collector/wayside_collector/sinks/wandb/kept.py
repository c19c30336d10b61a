"""What the sink keeps with the pump's cursor. Pure.

    batch           decimal: rows of the ledger's batches up to this one are settled
    run:<run>       msgpack of Kept: how far a run is, for the KNOWN runs last touched; what went into a folder ends in
                    " offline"

Both are hints that make a restart exact and cheap; the ledger says what was on its way, W&B (or the run's file) how
much of that arrived.
"""

from collections.abc import Mapping

import msgspec

from ..base import Changes
from .flight import RunKey

BATCH = "batch"
_RUN = "run:"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """last: the largest `_step` that is settled. batch: when it was last touched. exit_code, finished_at: of its
    finish.
    """

    last: int
    batch: int
    exit_code: int | None = None
    finished_at: float | None = None


_decoder = msgspec.msgpack.Decoder(Kept)


class State:
    """The kept state as it is committed, and as it will be after the next commit."""

    def __init__(self, state: Mapping[str, bytes], most: int) -> None:
        self._most = most
        self.batch = int(state.get(BATCH, b"0"))
        self.runs = {name: _decoder.decode(value) for name, value in state.items() if name.startswith(_RUN)}

    def run(self, key: RunKey) -> Kept | None:
        return self.runs.get(_name(key))

    def change(self, batch: int, touched: Mapping[RunKey, Kept]) -> Changes:
        """What to keep now; the runs longest untouched are forgotten when there are more than `most`."""
        changes: dict[str, bytes | None] = {}
        if batch != self.batch:
            self.batch = batch
            changes[BATCH] = str(batch).encode()
        for key, kept in touched.items():
            self.runs[_name(key)] = kept
            changes[_name(key)] = msgspec.msgpack.encode(kept)
        excess = len(self.runs) - self._most
        for name in sorted(self.runs, key=lambda name: self.runs[name].batch)[: max(excess, 0)]:
            del self.runs[name]
            changes[name] = None
        return changes


def _name(key: RunKey) -> str:
    return f"{_RUN}{key.entity or ''}/{key.project}/{key.id}{' offline' if key.offline else ''}"
