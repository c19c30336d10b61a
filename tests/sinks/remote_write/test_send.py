"""The remote write sink against a receiver that takes and refuses as Prometheus does."""

import contextlib
import math
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from standins.remote_write_server import STALE, Receiver, receiver
from wayside.row import FINISH, Row
from wayside_collector.session import Session
from wayside_collector.sinks.base import Changes, Context, Parcel, Part, Record, Reject, Retry
from wayside_collector.sinks.remote_write import RemoteWriteOptions, RemoteWriteSink
from wayside_collector.testing import FakeClock, make_event, make_parcel, make_rows, make_session

NOW = 1_767_225_600.0
SESSION = make_session("r1", rank=0, started=NOW + 10)
pytestmark = pytest.mark.asyncio


@dataclass
class Bench:
    """A sink and its receiver."""

    receiver: Receiver
    sink: RemoteWriteSink
    counted: Counter[str] = field(default_factory=Counter)
    state: dict[str, bytes] = field(default_factory=dict)

    async def send(self, *records: Record, session: Session = SESSION) -> None:
        self.keep(await self.sink.send(make_parcel(session, records)))

    async def reject(self, *records: Record, session: Session = SESSION) -> Reject:
        with pytest.raises(Reject) as caught:
            await self.sink.send(make_parcel(session, records))
        self.keep(caught.value.changes)
        return caught.value

    async def retry(self, *records: Record, session: Session = SESSION) -> Retry:
        with pytest.raises(Retry) as caught:
            await self.sink.send(make_parcel(session, records))
        self.keep(caught.value.changes)
        return caught.value

    def keep(self, changes: Changes) -> None:
        self.state |= {key: value for key, value in changes.items() if value is not None}
        self.state = {key: value for key, value in self.state.items() if changes.get(key, b"") is not None}

    async def restart(self, now: float) -> None:
        """The collector goes and comes back with what was committed."""
        await self.sink.close()
        self.sink = RemoteWriteSink(self.sink._options, clock=FakeClock(now), environ={})
        await self.open()

    async def open(self) -> None:
        count = lambda name, by: self.counted.update({name: by})  # noqa: E731
        await self.sink.open(Context("remote_write", Path("."), state=self.state, count=count))


@contextlib.asynccontextmanager
async def bench(**options: object) -> AsyncIterator[Bench]:
    async with receiver() as taking:
        given = {"endpoint": taking.url, **options}
        sink = RemoteWriteSink(RemoteWriteOptions(**given), clock=FakeClock(NOW), environ={})  # type: ignore[arg-type]
        made = Bench(taking, sink)
        await made.open()
        try:
            yield made
        finally:
            await made.sink.close()


def rows(count: int, first: int = 0, **metrics: float) -> list[Row]:
    return make_rows(count, metrics or None, seq=first, step=first, time=NOW + 20 + first)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_every_row_arrives_with_its_time(protocol: str) -> None:
    """Full resolution: each value at the millisecond at which it was logged, with run, rank and the external labels;
    NaN and infinity as such, and never as the NaN that ends a series.
    """
    async with bench(protocol=protocol, external_labels={"cluster": "c1", "run": "not taken"}) as b:
        odd = struct.unpack("<d", STALE)[0]
        values = (0.5, math.inf, -math.inf, odd, -0.0)
        records = [row._replace(values=(value,)) for row, value in zip(rows(5), values, strict=True)]
        await b.send(*records)
        (found,) = b.receiver.series("wayside_train_loss").items()
        labels, points = found
        assert labels == (("__name__", "wayside_train_loss"), ("cluster", "c1"), ("rank", "0"), ("run", "r1"))
        assert [time for time, _ in points] == [round(row.time * 1000) for row in records]
        assert [value for _, value in points][:3] == [0.5, math.inf, -math.inf]
        assert math.isnan(points[3][1])
        assert struct.pack("<d", points[3][1]) != STALE
        assert b.receiver.values("wayside_run_last_step") == [0, 1, 2, 3, 4]
        version = {"v1": "0.1.0", "v2": "2.0.0"}[protocol]
        assert b.receiver.headers[0]["X-Prometheus-Remote-Write-Version"] == version


async def test_names_that_become_one_stay_two() -> None:
    """The first to come has the name, the other a suffix, and both keep theirs over a restart."""
    async with bench() as b:
        await b.send(*rows(1, **{"a/b": 1.0, "a.b": 2.0}))
        await b.restart(NOW + 100)
        await b.send(*rows(1, 1, **{"a.b": 3.0, "a/b": 4.0}))
        assert b.receiver.values("wayside_a_b") == [1.0, 4.0]
        (other,) = {dict(labels)["__name__"] for labels in b.receiver.taken} - {
            "wayside_a_b",
            "wayside_run_info",
            "wayside_run_last_step",
        }
        assert other.startswith("wayside_a_b_x")
        assert b.receiver.values(other) == [2.0, 3.0]


async def test_names_as_they_were_logged() -> None:
    """`names: utf8` leaves a name as it is, behind our prefix."""
    async with bench(names="utf8", protocol="v2") as b:
        await b.send(*rows(1, **{"train/loss µ": 1.0}))
        assert b.receiver.values("wayside_train/loss µ") == [1.0]


async def test_two_values_of_one_millisecond() -> None:
    """The later is sent and the other counted; across requests, the earlier stays."""
    async with bench() as b:
        close = [row._replace(time=NOW + 20 + place * 0.0001, step=None) for place, row in enumerate(rows(3))]
        await b.send(*close)
        (points,) = b.receiver.series("wayside_train_loss").values()
        assert len(points) == 1
        assert points[0][1] == close[2].values[0]
        assert b.counted["superseded"] == 2
        await b.send(rows(1, 9)[0]._replace(time=NOW + 20, step=None))
        assert b.receiver.series("wayside_train_loss")
        assert b.counted["superseded"] == 3


async def test_a_series_ends_with_its_session() -> None:
    """A stale marker a millisecond after the finish, for every series of it, also after a restart; none where another
    session has gone on with them.
    """
    async with bench() as b:
        await b.send(*rows(2, **{"a": 1.0, "b": 2.0}))
        await b.restart(NOW + 100)
        await b.send(make_event(FINISH, {"exit_code": 0}, seq=2, time=NOW + 50))
        for name in ("wayside_a", "wayside_b", "wayside_run_last_step", "wayside_run_info"):
            (points,) = b.receiver.series(name).values()
            assert points[-1][0] == round((NOW + 50) * 1000) + 1
            assert struct.pack("<d", points[-1][1]) == STALE
        assert not [key for key in b.state if key.startswith("session/")]
        second, third = (make_session("r2", rank=0, started=NOW + 200 + number) for number in range(2))
        await b.send(*rows(1, 1000, a=1.0), session=second)
        await b.send(*rows(1, 2000, a=1.0), session=third)
        await b.send(make_event(FINISH, {}, seq=9, time=NOW + 1030), session=second)
        r2 = [points for labels, points in b.receiver.series("wayside_a").items() if dict(labels)["run"] == "r2"]
        assert [value for _, value in r2[0]] == [1.0, 1.0]


async def test_the_row_that_is_refused_is_found() -> None:
    """A request with a bad row is halved until that one alone is refused; every other arrives."""
    async with bench() as b:
        records = rows(40)
        bad = records[17].values[0]
        b.receiver.answer = lambda request: (
            (400, "label limit exceeded") if any(v == bad for _, points in request for _, v in points) else None
        )
        refused = await b.reject(*records)
        assert refused.rows == {(SESSION.id, 17)}
        assert "label limit exceeded" in str(refused)
        assert b.receiver.values("wayside_train_loss") == [row.values[0] for row in records if row.seq != 17]
        assert b.counted["refused"] > 0


async def test_a_row_out_of_order_is_told_and_others_go_on() -> None:
    """Time that goes back within a session: what the receiver does not take is rejected as late, with its words."""
    async with bench() as b:
        await b.send(*rows(5))
        late = rows(1, 5)[0]._replace(time=NOW + 21.5)
        refused = await b.reject(late, *rows(3, 6))
        assert refused.rows == {(SESSION.id, 5)}
        assert "out of order" in str(refused)
        assert b.receiver.values("wayside_run_last_step") == [0, 1, 2, 3, 4, 6, 7, 8]


async def test_after_a_crash_what_was_taken_is_not_lost_for_being_there() -> None:
    """Sent and not committed, then sent again by the next start: refused as out of order by a receiver that has it,
    and counted as there, while what it does not have arrives.
    """
    async with bench() as b:
        before = dict(b.state)
        await b.send(*rows(10))
        b.state = before  # the commit never came
        await b.restart(NOW + 100)
        await b.send(*rows(20))
        assert b.receiver.values("wayside_run_last_step") == [float(step) for step in range(20)]
        assert b.counted["already_there"] > 0
        assert not b.counted["late"]
        refused = await b.reject(rows(1, 25)[0]._replace(time=NOW + 22.5))
        assert refused.rows  # once it is known where the receiver stands, late is late


async def test_an_answer_that_was_lost() -> None:
    """Taken, and answered with 500: the same rows come again, are there, and nothing is lost or rejected."""
    async with bench() as b:
        b.receiver.after = lambda request: 500
        again = await b.retry(*rows(10))
        assert again.uncertain
        assert not again.delivered
        b.receiver.after = lambda request: None
        await b.send(*rows(10), *rows(5, 10))
        assert b.receiver.values("wayside_run_last_step") == [float(step) for step in range(15)]
        assert b.counted["already_there"] > 0


async def test_what_is_too_old_costs_two_requests() -> None:
    """A backlog that no receiver takes any more is rejected by the requestful, not by the row; what is young enough
    arrives whole.
    """
    async with bench() as b:
        b.receiver.oldest = round((NOW + 20 + 1500) * 1000)
        refused = await b.reject(*rows(3000))
        assert {seq for _, seq in refused.rows} == set(range(1500))
        assert len(b.receiver.values("wayside_train_loss")) == 1500
        assert len(b.receiver.requests) < 60
        assert b.counted["too_old"] >= 1500


@pytest.mark.parametrize(("status", "waits"), [(429, True), (503, True), (401, False), (404, False), (415, False)])
async def test_what_may_pass_is_tried_again(status: int, waits: bool) -> None:
    """With Retry-After where there is one; what was taken before it stays delivered, and is not sent again."""
    async with bench(max_samples_per_send=20) as b:
        turn = iter([None, (status, "not now")])
        b.receiver.answer = lambda request: next(turn, (status, "not now"))
        again = await b.retry(*rows(20))
        assert 0 < len(again.delivered) < 20
        assert (again.not_before is not None) == waits
        assert str(status) in str(again)
        b.receiver.answer = lambda request: None
        await b.send(*[row for row in rows(20) if (SESSION.id, row.seq) not in again.delivered])
        assert b.receiver.values("wayside_run_last_step") == [float(step) for step in range(20)]
        assert all(sum(len(points) for _, points in request) <= 20 for request in b.receiver.requests)


async def test_what_was_refused_is_told_by_the_send_that_ends() -> None:
    """A row refused in a send that is cut short is a dead letter of the next, never delivered, and asked for once."""
    async with bench(max_samples_per_send=4) as b:
        first, *others = rows(10)
        b.receiver.answer = lambda request: (
            (503, "not now")
            if any(time >= round((NOW + 26) * 1000) for _, points in request for time, _ in points)
            else (400, "out of order sample")
            if any(time == round(first.time * 1000) for _, points in request for time, _ in points)
            else None
        )
        again = await b.retry(first, *others)
        assert again.delivered
        assert (SESSION.id, 0) not in again.delivered
        b.receiver.answer = lambda request: None
        asked = len(b.receiver.requests)
        left = [row for row in (first, *others) if (SESSION.id, row.seq) not in again.delivered]
        refused = await b.reject(*left)
        assert refused.rows == {(SESSION.id, 0)}
        assert "out of order" in str(refused)
        assert not b.counted["already_there"]
        assert b.receiver.values("wayside_run_last_step") == [float(step) for step in range(1, 10)]
        times = [time for request in b.receiver.requests[asked:] for _, points in request for time, _ in points]
        assert round(first.time * 1000) not in times


async def test_a_request_that_is_too_large_is_halved() -> None:
    """413 for more than so many samples."""
    async with bench() as b:
        b.receiver.answer = lambda request: (
            (413, "too large") if sum(len(points) for _, points in request) > 10 else None
        )
        await b.send(*rows(40))
        assert len(b.receiver.values("wayside_train_loss")) == 40


async def test_hardware_bears_its_labels() -> None:
    """A sampler's rows are series of the host, with the uuid that an event told once, before the restart."""
    async with bench() as b:
        system = make_session("system", kind="system", started=NOW)
        await b.send(make_event("device", {"gpu/0": {"uuid": "GPU-1"}}, seq=0), session=system)
        await b.restart(NOW + 100)
        sampled = {"gpu/0/utilization_ratio": 0.5, "gpu/0/energy_joules_total": 7.0}
        await b.sink.send(Parcel([Part(system, list(rows(1, 1, **sampled)), (SESSION,))]))
        (labels,) = b.receiver.series("wayside_gpu_utilization_ratio")
        assert dict(labels) | {"__name__": ""} == {"__name__": "", "host": "host-a", "gpu": "0", "gpu_uuid": "GPU-1"}
        assert b.receiver.values("wayside_gpu_energy_joules_total") == [7.0]


async def test_kept_state_that_cannot_be_read_is_counted() -> None:
    """Every part of it by itself; the sink goes on."""
    async with bench() as b:
        b.state = {"names": b"\xc1", "host/h": b"x", "session/s": b"\xff", "of another version": b""}
        await b.restart(NOW)
        await b.send(*rows(1))
        assert b.counted["state_damaged"] == 3


async def test_credentials_come_from_files(tmp_path: Path) -> None:
    """A bearer token and a password are read anew for each request, and no error repeats them."""
    (tmp_path / "token").write_text("tok-1\n")
    async with bench(bearer_file=str(tmp_path / "token")) as b:
        await b.send(*rows(1))
        (tmp_path / "token").write_text("tok-22222")
        b.receiver.answer = lambda request: (403, "no tok-22222 here")
        again = await b.retry(*rows(1, 1))
        sent = [headers["Authorization"] for headers in b.receiver.headers]
        assert sent == ["Bearer tok-1", "Bearer tok-22222"]
        assert "tok-22222" not in str(again)
    async with bench(basic_user="me", basic_password_file=str(tmp_path / "token")) as b:
        b.receiver.answer = lambda request: (401, "no tok-22222 here")
        again = await b.retry(*rows(1))
        assert b.receiver.headers[0]["Authorization"] == "Basic bWU6dG9rLTIyMjIy"
        assert "tok-22222" not in str(again)
        assert "bWU6" not in str(again)
