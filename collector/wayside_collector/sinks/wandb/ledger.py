"""What was about to be sent, on disk before it is: the sink's answer to a crash in the middle of a send.

Why a file beside the sink's kept state: the pump commits that state only after a send has returned, and after a crash
the same rows may come back in other parcels, mixed with other sessions' rows, or merged into other steps. Which row
had which `_step` could then not be derived. So every batch is written here, and synced, before the child gets it.

A record is a u32 length, a u32 crc32 and msgpack; a torn one at the end was never acted upon. Records of a run, read
in order, tell which rows were on their way: an Intent first takes back what earlier ones numbered above its `base`
(those never arrived), then adds its own. A Refused line stands at W&B without its values: its row did not arrive. A
Segment says in which folder what follows is, offline. Batches that the kept state names as settled, that is reported
to the pump to the last row, are passed over. At MAX_FILE the ledger is begun anew with what is not, and the old file
kept until the next time.
"""

import errno
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..base import Ref
from .flight import Flight, Numbered, RunKey, Sent

MAX_FILE = 8 << 20  #: bytes: some 200 full parcels, read in a fraction of a second at the start
_HEAD = struct.Struct("<II")


class Record(msgspec.Struct, frozen=True, array_like=True, tag=True):
    run: RunKey


class Intent(Record, frozen=True):
    """Lines as (step, session's place in `sessions`, seqs), samples as (number, session's place, seq)."""

    batch: int
    base: int
    base_samples: int
    sessions: list[str]
    lines: list[tuple[int, list[tuple[int, list[int]]]]]
    samples: list[tuple[int, int, int]]


class Refused(Record, frozen=True):
    steps: list[int]
    samples: list[int]


class Segment(Record, frozen=True):
    """folder: of the `.wandb` file. first_sample: the number of the first sample in it."""

    folder: str
    first_sample: int


@dataclass
class Uncertain:
    """What of a run may or may not have arrived when the last process ended.

    lines: `_step` to rows. samples: number to rows. segments: folders to look into offline, with the number of the
    first sample of each.
    """

    lines: dict[int, Sent] = field(default_factory=dict)
    samples: dict[int, Sent] = field(default_factory=dict)
    segments: list[tuple[str, int]] = field(default_factory=list)


_decoder = msgspec.msgpack.Decoder(Intent | Refused | Segment)
Entry = Intent | Refused | Segment


def intent(run: RunKey, batch: int, flight: Flight, lines: Iterable[Numbered], samples: Iterable[Ref]) -> Intent:
    """The record of these lines and samples, which will follow what `flight` has given out."""
    places: dict[str, int] = {}
    numbered = [(line.step, _by_session(line.line.refs, places)) for line in lines]
    probes = [(flight.samples + i, places.setdefault(ref[0], len(places)), ref[1]) for i, ref in enumerate(samples)]
    return Intent(run, batch, flight.last, flight.samples, list(places), numbered, probes)


def carried(run: RunKey, flight: Flight) -> list["Entry"]:
    """Records of what is still on its way or not reported, for a ledger begun anew."""
    found: list[Entry] = [] if flight.segment is None else [Segment(run, *flight.segment)]
    lines, probes = {**flight.landed, **flight.lines}, {**flight.landed_probes, **flight.probes}
    for batch in sorted({sent.batch for group in (lines, probes) for sent in group.values()}):
        places: dict[str, int] = {}
        own = [(n, _by_session(sent.refs, places)) for n, sent in lines.items() if sent.batch == batch]
        samples = [
            (n, places.setdefault(sent.refs[0][0], len(places)), sent.refs[0][1])
            for n, sent in probes.items()
            if sent.batch == batch
        ]
        base = min((n for n, _ in own), default=flight.last + 1) - 1
        base_samples = min((n for n, _, _ in samples), default=flight.samples)
        found.append(Intent(run, batch, base, base_samples, list(places), own, samples))
    return found


def _by_session(refs: Iterable[Ref], places: dict[str, int]) -> list[tuple[int, list[int]]]:
    seqs: dict[int, list[int]] = {}
    for session, seq in refs:
        seqs.setdefault(places.setdefault(session, len(places)), []).append(seq)
    return list(seqs.items())


def encode(record: Entry) -> bytes:
    body = msgspec.msgpack.encode(record)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def decode(data: bytes) -> tuple[list[Entry], int]:
    """The whole records of a file, and where the last of them ends; stops at one that is torn or damaged."""
    found: list[Entry] = []
    at = 0
    while at + _HEAD.size <= len(data):
        size, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + size]
        if len(body) < size or zlib.crc32(body) != crc:
            break
        try:
            found.append(_decoder.decode(body))
        except msgspec.DecodeError:
            break
        at += _HEAD.size + size
    return found, at


def recover(records: Iterable[Entry], settled: int) -> dict[RunKey, Uncertain]:
    """What may have arrived, by run. settled: the last batch whose rows are all settled, from the kept state."""
    runs: dict[RunKey, Uncertain] = {}
    for record in records:
        run = runs.setdefault(record.run, Uncertain())
        if isinstance(record, Segment):
            if not run.lines and not run.samples:
                run.segments.clear()
            if (record.folder, record.first_sample) not in run.segments:  # it is told with every batch
                run.segments.append((record.folder, record.first_sample))
        elif isinstance(record, Refused):
            for step in record.steps:
                run.lines.pop(step, None)
            for sample in record.samples:
                run.samples.pop(sample, None)
        else:
            _add(run, record, settled)
    return {key: run for key, run in runs.items() if run.lines or run.samples}


def _add(run: Uncertain, record: Intent, settled: int) -> None:
    run.lines = {step: sent for step, sent in run.lines.items() if step <= record.base}
    run.samples = {number: sent for number, sent in run.samples.items() if number < record.base_samples}
    if record.batch <= settled:
        return
    for step, parts in record.lines:
        refs = tuple((record.sessions[place], seq) for place, seqs in parts for seq in seqs)
        run.lines[step] = Sent(record.batch, refs)
    for number, place, seq in record.samples:
        run.samples[number] = Sent(record.batch, ((record.sessions[place], seq),))


class Ledger:
    """The files. Every method blocks and may raise OSError; `append` returns when the records are on the disk.

    newest: the number of the newest batch there ever was.
    """

    def __init__(self, folder: Path, max_file: int = MAX_FILE) -> None:
        self._path = folder / "ledger"
        self._old = folder / "ledger.old"
        self._max = max_file
        self._fd = -1
        self._size = 0
        self._appending = threading.Lock()  # one whose caller was cancelled may still be at it
        self.newest = 0

    def open(self, settled: int) -> dict[RunKey, Uncertain]:
        """Read both files and make ready to append."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        (old, _), (own, end) = (decode(path.read_bytes() if path.exists() else b"") for path in (self._old, self._path))
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, end)  # a torn record would hide what follows it
        self._size = end
        every = [*old, *own]
        self.newest = max([settled, *(record.batch for record in every if isinstance(record, Intent))])
        return recover(every, settled)

    @property
    def full(self) -> bool:
        """Whether the next `append` begins the ledger anew."""
        return self._size > self._max

    def append(self, records: Sequence[Entry], aloft: Iterable[Entry] = ()) -> None:
        """Write and sync. aloft: what is on its way (`carried`), for a ledger that is full."""
        with self._appending:
            if self.full:
                self._begin(aloft)
            data = b"".join(encode(record) for record in records)
            written = os.write(self._fd, data)
            if written < len(data):
                os.ftruncate(self._fd, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._fd)
            self._size += len(data)
            self.newest = max([self.newest, *(record.batch for record in records if isinstance(record, Intent))])

    def _begin(self, aloft: Iterable[Entry]) -> None:
        data = b"".join(encode(record) for record in aloft)
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._path, self._old)
        os.replace(new, self._path)
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = len(data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
