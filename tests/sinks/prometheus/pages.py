"""What the tests of the Prometheus sink share: a board with a clock that stands still, and pages read back by
prometheus_client's parsers, which refuse what the formats forbid; what they let pass (a family or a series twice) is
refused here.
"""

from collections.abc import Iterable, Iterator
from io import StringIO

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as read_openmetrics
from prometheus_client.parser import text_fd_to_metric_families as read_text
from wayside.row import Row
from wayside_collector.session import Session
from wayside_collector.sinks.prometheus import PrometheusOptions
from wayside_collector.sinks.prometheus.board import Board, Taken
from wayside_collector.sinks.prometheus.encode import pieces
from wayside_collector.sinks.prometheus.page import Shot
from wayside_collector.testing import FakeClock, make_event, make_session

Labels = frozenset[tuple[str, str]]
Series = dict[tuple[str, Labels], float]

COUNTED = ("wayside_name_collisions_total", "wayside_series_dropped_total")  #: begin anew with each start


def read(page: str, *, openmetrics: bool) -> list[Metric]:
    """The families of a page; fails when one is there twice, or a series is."""
    fd = StringIO(page, newline="\n")
    families = list(read_openmetrics(fd) if openmetrics else read_text(fd))
    names = [(family.name, family.type == "counter") for family in families]
    assert len(names) == len(set(names)), "a family stands on the page twice"
    series = [(sample.name, frozenset(sample.labels.items())) for family in families for sample in family.samples]
    assert len(series) == len(set(series)), "a series stands on the page twice"
    assert all(sample.timestamp is None for family in families for sample in family.samples)
    return families


def read_series(page: str, *, openmetrics: bool) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read(page, openmetrics=openmetrics)
        for sample in family.samples
    }


def read_both(shots: list[Shot]) -> Series:
    """The series of a snapshot, which must read the same in both formats."""
    text = read_series("".join(pieces(shots, False)), openmetrics=False)
    openmetrics = read_series("".join(pieces(shots, True)), openmetrics=True)
    assert {key: repr(float(value)) for key, value in text.items()} == {
        key: repr(float(value)) for key, value in openmetrics.items()
    }
    return text


def shown(series: Series, *, about: Iterable[str] = ("",)) -> dict[str, float]:
    """`{"wayside_train_loss{rank=0,run=r1}": 0.5}`, of names that begin with one of `about`."""
    found = {}
    for (name, labels), value in series.items():
        if name.startswith(tuple(about)):
            text = ",".join(f"{key}={value}" for key, value in sorted(labels))
            found[f"{name}{{{text}}}"] = value
    return found


class Desk:
    """A board, and sessions that log to it with seqs of their own."""

    def __init__(self, **options: object) -> None:
        self.options = PrometheusOptions(**options)  # type: ignore[arg-type]
        self.clock = FakeClock()
        self.board = Board(self.options)
        self.state: dict[str, bytes] = {}
        self._seqs: dict[str, int] = {}

    def log(self, session: Session, metrics: dict[str, float], *, step: int | None = None) -> Taken:
        row = Row(self._seq(session), self.clock(), step, True, False, tuple(metrics), tuple(metrics.values()))
        return self.board.take(session, [row], self.clock())

    def tell(self, session: Session, kind: str, data: dict[str, object]) -> None:
        event = make_event(kind, data, seq=self._seq(session), time=self.clock())
        self.board.take(session, [event], self.clock())

    def finish(self, session: Session, code: int | None = 0) -> None:
        self.tell(session, "finish", {"exit_code": code})

    def scrape(self, *about: str) -> dict[str, float]:
        """What a scrape shows, of names that begin with one of `about` after `wayside_`."""
        series = read_both(self.board.scrape(self.clock()))
        return shown(series, about=[f"wayside_{name}" for name in about or ("",)])

    def keep(self) -> dict[str, bytes]:
        """The state as a pump would have committed it by now."""
        for key, record in self.board.changes(self.clock()).items():
            if record is None:
                self.state.pop(key, None)
            else:
                self.state[key] = record
        return self.state

    def restart(self) -> None:
        """A new collector with the state that was kept."""
        kept = dict(self.keep())
        self.board = Board(self.options)
        assert self.board.restore(kept, self.clock()) == 0

    def _seq(self, session: Session) -> int:
        self._seqs[session.id] = self._seqs.get(session.id, -1) + 1
        return self._seqs[session.id]


def make_system(host: str = "host-a", **fields: object) -> Session:
    """A session of the collector's own samplers."""
    return make_session(run="system", kind="system", host=host, **fields)  # type: ignore[arg-type]


def without_counted(page: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in page.items() if not name.startswith(COUNTED)}


def lines(page: str) -> Iterator[str]:
    """The samples of a page, as they are written."""
    return (line for line in page.split("\n") if line and not line.startswith("#"))
