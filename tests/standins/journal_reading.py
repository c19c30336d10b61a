"""Journals read back from their files, by the wire format alone, as a collector of any other make would do it."""

from dataclasses import dataclass, field
from pathlib import Path

from wayside import wire
from wayside.row import Event, Row


@dataclass
class Frames:
    """What stands in one stream of frames: rows, events, and the gaps that its SEQ frames and headers tell."""

    rows: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)  # first seq missing, first seq there again
    lost_points: int = 0
    seq: int = 0
    points: int = 0
    records: list[dict[str, object]] = field(default_factory=list)
    defined: dict[int, tuple[str, ...]] = field(default_factory=dict)  # schemas known from elsewhere

    @property
    def seqs(self) -> list[int]:
        return sorted([row.seq for row in self.rows] + [event.seq for event in self.events])

    def jump(self, seq: int, points: int) -> None:
        """The stream goes on at this seq."""
        assert seq >= self.seq, f"the stream goes back from {self.seq} to {seq}"
        if seq > self.seq:
            self.gaps.append((self.seq, seq))
            self.lost_points += points - self.points
        else:
            assert points == self.points, f"no row is missing at {seq}, and {points - self.points} points are"
        self.seq, self.points = seq, points

    def take(self, data: bytes, start: int = 0) -> None:
        """Read frames, which must reach to the end."""
        found = wire.scan(data, start)
        assert found.error is None, found.error
        assert found.end == len(data), f"the frames end at {found.end} of {len(data)} bytes"
        schemas = dict(self.defined)
        for span in found.spans:
            self._take(data, span, schemas)

    def _take(self, data: bytes, span: wire.Span, schemas: dict[int, tuple[str, ...]]) -> None:
        if span.type == wire.HELLO:
            self.records.append(wire.read_json(data, span))
        elif span.type == wire.SCHEMA:
            names = wire.read_schema(data, span)
            assert schemas.setdefault(span.schema, names) == names
        elif span.type == wire.SEQ:
            self.jump(*wire.read_pair(data, span))
        elif span.type == wire.ROW:
            for row in wire.read_rows(data, span, schemas[span.schema], self.seq):
                self._add(row)
        elif span.type == wire.NAMED_ROW:
            self._add(wire.read_named_row(data, span, self.seq))
        elif span.type == wire.EVENT:
            self.events.append(wire.read_event(data, span, self.seq))
            self.seq += 1

    def _add(self, row: Row) -> None:
        assert row.seq == self.seq
        self.rows.append(row)
        self.seq += 1
        self.points += len(row.values)


@dataclass
class SegmentFile:
    """One segment as it lies there."""

    path: Path
    header: wire.SegmentHeader
    data: bytes  # up to the committed position

    def frames(self) -> Frames:
        found = Frames(seq=self.header.first_seq, points=self.header.first_point)
        found.take(self.data, wire.HEADER_SIZE)
        return found


def read_segments(folder: Path) -> list[SegmentFile]:
    """The segments of a journal's folder, in order; left out are those only prepared, and copies that end within
    their header.
    """
    found = []
    for path in folder.glob("*.seg"):
        data = path.read_bytes()
        if data[:8] == bytes(8) or len(data) < wire.HEADER_SIZE:
            continue
        header = wire.read_segment_header(data)
        assert header.position >= wire.HEADER_SIZE, f"{path} has a position of {header.position}"
        found.append(SegmentFile(path, header, data[: header.position]))
    return sorted(found, key=lambda segment: segment.header.number)


def read_journal(*folders: Path) -> Frames:
    """All rows and events of one session, whose segments lie in these folders; of two copies the longer one."""
    found = Frames()
    numbers = []
    segments: dict[int, SegmentFile] = {}
    for segment in [segment for folder in folders for segment in read_segments(folder)]:
        other = segments.setdefault(segment.header.number, segment)
        if len(segment.data) > len(other.data):
            segments[segment.header.number] = segment
    for _, segment in sorted(segments.items()):
        numbers.append(segment.header.number)
        found.jump(segment.header.first_seq, segment.header.first_point)
        found.take(segment.data, wire.HEADER_SIZE)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True, numbers
    return found
