"""The page reads back as what was put in, whatever the names, labels and values."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder
from sinks.prometheus.pages import Desk, lines, make_system, read, read_both, read_series, shown
from wayside_collector.session import Pod
from wayside_collector.sinks.names import sound
from wayside_collector.sinks.prometheus import join, negotiate
from wayside_collector.sinks.prometheus.board import Board
from wayside_collector.sinks.prometheus.encode import PIECE, pieces, spell_all
from wayside_collector.sinks.prometheus.page import OWN
from wayside_collector.testing import make_session

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
ANY_TEXT = st.text(st.characters(), min_size=1, max_size=12)
#: Names that come close to each other, and to ours, as well as any.
NAMES = (
    st.sampled_from(["train/loss", "train.loss", "train_loss", "run", "run/info", "metric_name", "a", "a_total", "a/b"])
    | st.sampled_from([name.removeprefix("wayside_") for name in OWN])
    | ANY_TEXT
)
VALUES = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**53), 2**53).map(float)


def page_of(desk: Desk, *, openmetrics: bool = False) -> str:
    return "".join(pieces(desk.board.scrape(desk.clock()), openmetrics))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=12), ANY_TEXT, ANY_TEXT, st.none() | st.integers(0, 4096))
def test_a_page_reads_back_as_what_was_logged(metrics: dict[str, float], run: str, text: str, rank: int | None) -> None:
    """Both formats give, for any name, label and value, one sample for each metric: the value, the run and the rank,
    under the name that `wayside_metric_name_info` tells.
    """
    desk = Desk()
    session = make_session(run=run, rank=rank, host=text, workload=text, pod=Pod(name=text))
    desk.log(session, metrics)
    series = read_both(desk.board.scrape(desk.clock()))
    labels = {("run", sound(run))} | (set() if rank is None else {("rank", str(rank))})
    found = []
    for (name, pairs), value in series.items():
        if name == "wayside_metric_name_info":
            said = dict(pairs)
            logged = series[said["metric"], frozenset(labels)]
            found.append((said["original"], repr(float(logged))))
            assert value == 1
    assert sorted(found) == sorted((sound(name), repr(value)) for name, value in metrics.items())


def test_the_original_name_stands_in_the_help() -> None:
    """HELP holds the metric's name as logged, escaped as each format wants it."""
    desk = Desk()
    desk.log(make_session(run="r1"), {'a "b"\\c\nd': 1.0})
    for openmetrics in (False, True):
        families = read(page_of(desk, openmetrics=openmetrics), openmetrics=openmetrics)
        assert 'Logged as "a "b"\\c\nd".' in [family.documentation for family in families]


def test_types_are_said_in_each_format() -> None:
    """Metrics are gauges; an info is an info in OpenMetrics and a gauge in text, a counter a counter in both."""
    desk = Desk()
    desk.log(make_session(run="r1"), {"loss": 1.0})
    desk.log(make_system(), {"disk/vda/read_bytes_total": 5.0})
    text = {family.name: family.type for family in read(page_of(desk), openmetrics=False)}
    openmetrics = {family.name: family.type for family in read(page_of(desk, openmetrics=True), openmetrics=True)}
    assert text["wayside_loss"] == openmetrics["wayside_loss"] == "gauge"
    assert text["wayside_disk_read_bytes"] == openmetrics["wayside_disk_read_bytes"] == "counter"
    assert (text["wayside_run_info"], openmetrics["wayside_run"]) == ("gauge", "info")
    assert "# TYPE wayside_disk_read_bytes_total counter\n" in page_of(desk)
    assert "# TYPE wayside_disk_read_bytes counter\n" in page_of(desk, openmetrics=True)


def test_the_first_comer_keeps_the_name() -> None:
    """`train/loss` and `train.loss` are two families; the second has a suffix, said in a series, and is counted."""
    desk = Desk()
    session = make_session(run="r1")
    desk.log(session, {"train/loss": 1.0})
    desk.log(session, {"train.loss": 2.0})
    desk.log(session, {"train/loss": 3.0, "train.loss": 4.0})
    assert desk.scrape("train", "metric_name", "name_collisions") == {
        "wayside_train_loss{run=r1}": 3.0,
        "wayside_train_loss_x1874{run=r1}": 4.0,
        "wayside_metric_name_info{metric=wayside_train_loss,original=train/loss}": 1,
        "wayside_metric_name_info{metric=wayside_train_loss_x1874,original=train.loss}": 1,
        "wayside_name_collisions_total{}": 1,
    }


def test_a_suffixed_name_stays_when_the_holder_goes() -> None:
    """A name never changes under a dashboard: a metric keeps its suffix for as long as it is on the page."""
    desk = Desk()
    first, second = make_session(run="r1"), make_session(run="r2")
    desk.log(first, {"train/loss": 1.0})
    desk.log(second, {"train.loss": 2.0})
    desk.finish(first)
    for _ in range(3):
        desk.scrape()
    desk.log(second, {"train.loss": 5.0})
    assert desk.scrape("train") == {"wayside_train_loss_x1874{run=r2}": 5.0}
    desk.log(second, {"train/loss": 6.0})
    assert desk.scrape("train") == {"wayside_train_loss_x1874{run=r2}": 5.0, "wayside_train_loss{run=r2}": 6.0}


def test_our_own_names_are_not_to_be_had() -> None:
    """A metric named like one of ours takes a suffix, also where only OpenMetrics would see the clash."""
    desk = Desk()
    desk.log(make_session(run="r1"), {"run/info": 1.0, "run": 2.0, "series_dropped_total": 3.0, "series_dropped": 4.0})
    found = desk.scrape("run_info_x", "run_x", "series_dropped")
    assert sorted(found.values()) == [1.0, 2.0, 3.0, 4.0]
    assert all("_x" in name for name in found)
    assert desk.scrape("name_collisions") == {"wayside_name_collisions_total{}": 4}


def test_a_sampled_family_takes_its_name_from_a_metric() -> None:
    """Dashboards of hardware hold on every machine: a metric that got the name first yields it, with its values."""
    desk = Desk()
    user, system = make_session(run="r1"), make_system()
    desk.log(user, {"gpu.utilization_ratio": 7.0})
    assert desk.scrape("gpu") == {"wayside_gpu_utilization_ratio{run=r1}": 7.0}
    desk.log(system, {"gpu/0/utilization_ratio": 0.5})
    desk.log(user, {"loss": 1.0})
    found = desk.scrape("gpu", "metric_name_info")
    assert found["wayside_gpu_utilization_ratio{gpu=0,host=host-a}"] == 0.5
    (renamed,) = (name for name in found if name.startswith("wayside_gpu_utilization_ratio_x"))
    assert found[renamed] == 7.0
    assert len([name for name in found if "metric_name_info" in name]) == 2
    desk.log(user, {"gpu.utilization_ratio": 8.0})
    assert desk.scrape("gpu")[renamed] == 8.0
    desk.restart()
    assert desk.scrape("gpu") == {"wayside_gpu_utilization_ratio{gpu=0,host=host-a}": 0.5, renamed: 8.0}


def test_names_of_other_pages_can_be_reserved() -> None:
    """A metric never takes the name of a family that is joined to the page, in any of its suffixes."""
    desk = Desk()
    desk.board = Board(desk.options, ["wayside_sink_delivered_points_total", "wayside_spool_bytes"])
    desk.log(make_session(run="r1"), {"sink/delivered_points": 1.0, "spool/bytes": 2.0, "spool_bytes_total": 3.0})
    assert all("_x" in name for name in desk.scrape("sink", "spool"))


@given(st.lists(VALUES, min_size=1))
def test_numbers_are_spelled_so_that_they_read_back(values: list[float]) -> None:
    """The text of a number gives the same 64-bit float; what is not finite is spelled as Prometheus does."""
    texts = spell_all(values)
    assert [repr(float(text)) for text in texts] == [repr(value) for value in values]
    for text, value in zip(texts, values, strict=True):
        if not math.isfinite(value):
            assert text in ("NaN", "+Inf", "-Inf")


def test_a_large_family_is_written_in_pieces() -> None:
    """Pieces come between which other threads may run, and together they are the page."""
    desk = Desk()
    for rank in range(3):
        desk.log(make_session(run="r1", rank=rank), {f"m{i}": float(i) for i in range(PIECE)})
    shots = desk.board.scrape(desk.clock())
    found = list(pieces(shots, False))
    assert len(found) >= 3
    assert max(len(list(lines(piece))) for piece in found) <= 2 * PIECE
    assert len(read_series("".join(found), openmetrics=False)) == sum(len(shot.series) for shot in shots)


def test_a_snapshot_does_not_change() -> None:
    """What is encoded is the page of one instant, however much is logged meanwhile."""
    desk = Desk()
    session = make_session(run="r1")
    desk.log(session, {"loss": 1.0})
    shots = desk.board.scrape(desk.clock())
    desk.log(session, {"loss": 2.0, "more": 3.0})
    assert shown(read_both(shots), about=["wayside_loss", "wayside_more"]) == {"wayside_loss{run=r1}": 1.0}


# --- joining ---------------------------------------------------------------------------------------------------------


def registry() -> CollectorRegistry:
    """Health metrics as `prometheus_client` writes them, of every shape."""
    found = CollectorRegistry()
    Counter("wayside_received_points_total", "Points received.", ["sink"], registry=found).labels("jsonl").inc(5)
    Gauge("wayside_spool_bytes", 'Bytes; "quoted",\nand a # TYPE x gauge', registry=found).set(3)
    Histogram("wayside_commit_seconds", "Commits.", registry=found).observe(0.1)
    Info("wayside_build", "Versions.", registry=found).info({"version": "0.1.0", "note": "\r# TYPE y gauge\r"})
    return found


def health(accept: str | None) -> bytes:
    encoder, _ = choose_encoder(negotiate(accept).content_type)
    return encoder(registry())


def test_joined_pages_are_one_page_in_both_formats() -> None:
    """Health metrics joined to ours read as one page: every sample of both, `# EOF` once and last; a label that looks
    like the head of a family is none.
    """
    desk = Desk()
    desk.log(make_session(run="# TYPE wayside_spool_bytes gauge"), {"loss": 1.0})
    for accept, openmetrics in ((None, False), (OPENMETRICS, True)):
        ours, theirs = page_of(desk, openmetrics=openmetrics).encode(), health(accept)
        both = join([ours, theirs]).decode()
        parts = [read_series(page.decode(), openmetrics=openmetrics) for page in (ours, theirs)]
        assert read_series(both, openmetrics=openmetrics) == parts[0] | parts[1]
        assert both.count("# EOF\n") == int(openmetrics)


def test_a_family_of_two_pages_is_taken_from_the_first() -> None:
    """Families are never split and never doubled, whatever two pages hold; the later one's is left out whole."""
    for accept, openmetrics in ((None, False), (OPENMETRICS, True)):
        other = CollectorRegistry()
        Gauge("wayside_spool_bytes", "Another.", registry=other).set(9)
        Counter("wayside_received_points", "Another.", ["sink"], registry=other).labels("wandb").inc()
        Info("wayside_build", "Another.", registry=other).info({"note": "\r# TYPE wayside_fine gauge\r"})
        Gauge("wayside_fine", "Only here.", registry=other).set(1)
        encoder, _ = choose_encoder(negotiate(accept).content_type)
        joined = join([health(accept), encoder(other)]).decode()
        series = read_series(joined, openmetrics=openmetrics)
        assert series["wayside_spool_bytes", frozenset()] == 3
        assert series["wayside_fine", frozenset()] == 1
        assert ("wayside_received_points_total", frozenset({("sink", "wandb")})) not in series
        assert len([name for name, _ in series if name == "wayside_build_info"]) == 1


def test_joining_nothing_gives_nothing() -> None:
    """Empty pages join to an empty page, which both formats allow."""
    assert join([]) == b""
    assert join([b"", b""]) == b""
    assert join([b"# EOF\n", b"# EOF\n"]) == b"# EOF\n"
