"""What a gateway makes of deliveries: each row once, whatever comes again, out of turn, at once, or from whom."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from standins.gateway_server import Receiver, receiving
from wayside import row, wire
from wayside.row import Event, Row
from wayside_collector.intake import Intake, relayed
from wayside_collector.intake.relayed import RelayedInlet
from wayside_collector.relay import VERSIONS, Balance, Delivery, Lot, Sender, decode, encode
from wayside_collector.sinks.base import Parcel
from wayside_collector.sinks.gateway.encode import Bad, pack
from wayside_collector.sources import gateway as gateways
from wayside_collector.sources.gateway import Busy, GatewaySource
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

A, B = "a" * 32, "b" * 32
ONE, TWO = "1" * 32, "2" * 32


def lots(parcel: Parcel) -> list[Lot]:
    bad: list[Bad] = []
    found = [one.lot for one in pack(parcel.parts, 1 << 20, bad)]
    assert bad == []
    return found


def lot(records: Sequence[Row | Event], session: str = ONE, **fields: Any) -> Lot:
    (found,) = lots(make_parcel(make_session(id=session, **fields), records))
    return found


def delivery(*some: Lot, alive: Sequence[str] = (ONE,), sender: str = A, **said: Any) -> Delivery:
    return Delivery(Sender(sender, host="n1", alive=list(alive), **said), lots=list(some))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def seqs(receiver: Receiver, session: str = ONE) -> list[int]:
    return [record.seq for record in receiver.stored(session)]


@pytest.mark.asyncio
async def test_rows_and_events_arrive_as_they_were() -> None:
    """In the order of their numbers, with their names, steps, flags and times, whatever schemas they had."""
    records: list[Row | Event] = [
        *make_rows(3, {"loss": 0.5, "lr": 1e-3}),
        make_event(row.CONFIG, {"set": {"lr": 0.1}}, seq=3),
        *make_rows(2, {"val/loss": float("inf")}, seq=4),
        *[one._replace(step=None, commit=False, auto_step=True) for one in make_rows(2, seq=6)],
        *make_rows(1, {"lr": 1.0, "loss": 2.0}, seq=8),
    ]
    async with receiving() as one:
        receipt = await one.source.take(delivery(lot(records, rank=3)), None)
        assert (receipt.gateway, receipt.refused, receipt.unknown, receipt.doubles) == (list(VERSIONS), {}, [], 0)
        assert one.stored(ONE) == records
        assert (one.known(ONE).session.rank, one.known(ONE).session.via) == (3, A)


@pytest.mark.asyncio
async def test_numbers_of_names_are_the_gateways() -> None:
    """Lots that number the same names differently, or different names alike, are told apart."""
    async with receiving() as one:
        first, second = make_rows(2, {"a": 1.0}), make_rows(2, {"b": 2.0}, seq=2)
        third = [*make_rows(1, {"b": 3.0}, seq=4), *make_rows(1, {"c": 4.0}, seq=5), *make_rows(2, {"a": 5.0}, seq=6)]
        for records in (first, second, third):
            await one.source.take(delivery(lot(records)), None)
        assert one.stored(ONE) == [*first, *second, *third]
        assert len(one.known(ONE).schemas) == 3


@pytest.mark.asyncio
async def test_more_sets_of_names_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with further ones are kept with their names written out."""
    monkeypatch.setattr(wire, "MAX_SCHEMAS", 2)
    records = [make_rows(1, {f"m{number}": float(number)}, seq=number)[0] for number in range(5)]
    async with receiving() as one:
        await one.source.take(delivery(lot(records)), None)
        assert one.stored(ONE) == records
        assert len(one.known(ONE).schemas) == 2


@pytest.mark.asyncio
async def test_what_is_written_out_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose rows would come to more than MAX_WRITTEN is refused; what only finds no room beside others of the
    delivery comes later, and nothing after it meanwhile.
    """
    monkeypatch.setattr(wire, "MAX_SCHEMAS", 0)
    monkeypatch.setattr(relayed, "MAX_WRITTEN", 3000)
    monkeypatch.setattr(gateways, "MAX_WRITTEN", 3000)
    long = "n" * 1000
    async with receiving() as one:
        receipt = await one.source.take(
            delivery(
                lot(make_rows(3, {long: 1.0})),
                lot(make_rows(2, {long: 1.0}), TWO),
                lot(make_rows(2, {long: 1.0}), "3" * 32),
                lot(make_rows(1, {"n": 1.0}, seq=2), "3" * 32),
            ),
            None,
        )
        assert list(receipt.refused) == [ONE]
        assert "use fewer or shorter names" in receipt.refused[ONE]
        assert list(receipt.later) == ["3" * 32]
        assert [len(one.stored(id)) for id in (ONE, TWO, "3" * 32)] == [0, 2, 0]
        assert (await one.source.take(delivery(lot(make_rows(2, {long: 1.0}), "3" * 32)), None)).doubles == 0
        assert len(one.stored("3" * 32)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("names", [["a", "a"], [""], ["n" * 1025]])
async def test_names_that_are_none_use_up_nothing(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """They are refused, and the session has as many schemas to give as before."""
    monkeypatch.setattr(wire, "MAX_SCHEMAS", 1)
    async with receiving() as one:
        record = lot(make_rows(1)).record
        frames = wire.row_frame(0, 1e9, 1, [1.0] * len(names))
        assert list((await one.source.take(delivery(Lot(record, [names], frames)), None)).refused) == [ONE]
        await one.source.take(delivery(lot(make_rows(1, {"a": 1.0}))), None)
        assert list(one.known(ONE).schemas.values()) == [("a",)]


@pytest.mark.asyncio
async def test_what_comes_again_is_counted_and_not_stored() -> None:
    """The same delivery, and one that overlaps: what is new of it is taken."""
    async with receiving() as one:
        for count, doubles in ((5, 0), (5, 5), (8, 5)):
            assert (await one.source.take(delivery(lot(make_rows(count))), None)).doubles == doubles
        assert seqs(one) == list(range(8))
        (feeder,) = one.source.feeders.shown(10)
        assert (feeder["points"], feeder["rows"], feeder["doubles"]) == (8, 8, 10)


@pytest.mark.asyncio
async def test_a_gap_is_no_loss() -> None:
    """What the other side's options left out, or what another replica has, is not booked as lost at a client."""
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(2))), None)
        await one.source.take(delivery(lot([make_rows(1, seq=seq)[0] for seq in range(10, 100, 10)])), None)
        assert seqs(one) == [0, 1, *range(10, 100, 10)]
        assert one.place.intake.counters.lost_rows == 0
        assert len(one.place.spool.batches(0, 100)) == 2, "a batch for each gap"


@pytest.mark.asyncio
async def test_a_failed_write_is_no_receipt() -> None:
    """While the spool takes nothing the sender is put off; what it sends again is taken whole, and counted once."""
    async with receiving() as one:
        one.spool.fails = True
        with pytest.raises(Busy, match="no room"):
            await one.source.take(delivery(lot(make_rows(5))), None)
        one.spool.fails = False
        receipt = await one.source.take(delivery(lot(make_rows(5))), None)
        assert (receipt.doubles, seqs(one)) == (0, list(range(5)))
        assert one.source.feeders.shown(1)[0]["points"] == 5


@pytest.mark.asyncio
@pytest.mark.parametrize("senders", [(A, A), (A, B)])
async def test_the_same_rows_at_once(senders: tuple[str, str]) -> None:
    """A retry that overtakes the first request is not told that all is there before it is on disk: when the write
    fails, neither is taken for stored.
    """
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(1))), None)
        one.spool.fails = True
        both = [one.source.take(delivery(lot(make_rows(5)), sender=sender), None) for sender in senders]
        assert all(isinstance(each, Busy) for each in await asyncio.gather(*both, return_exceptions=True))
        one.spool.fails = False
        both = [one.source.take(delivery(lot(make_rows(5)), sender=sender), None) for sender in senders]
        assert sorted(each.doubles for each in await asyncio.gather(*both)) == [1, 5]
        assert seqs(one) == list(range(5))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Lot({"session": TWO, "run": {"id": ""}}), "run.id"),
        (Lot({"session": TWO, "run": {"id": "r"}, "more": {b"x": 1}}), "cannot be kept"),
        (Lot({"session": TWO, "run": {"id": "r"}, "more": nested(900)}), "64 deep"),
        (Lot({"session": TWO, "run": {"id": "r"}, "more": "x" * (4 << 20)}), "cannot be kept"),
        (Lot({"session": "nonsense", "run": {"id": "r"}}), "hexadecimal"),
        (Lot({"session": TWO, "run": {"id": "r"}, "started": -5.0}), "started"),
        (Lot({"session": TWO, "run": {"id": "r"}}, [["a"]], wire.row_frame(0, 1e9, 1, [1.0])[:-8]), "whole"),
        (Lot({"session": TWO, "run": {"id": "r"}}, [["a"]], wire.row_frame(1, 1e9, 1, [1.0])), "names 1"),
        (Lot({"session": TWO, "run": {"id": "r"}}, [["a"]], wire.schema_frame(0, ["a"])), "does not belong"),
        (Lot({"session": TWO, "run": {"id": "r"}}, [["a"]], b"\xff" * 64), "length"),
    ],
)
async def test_one_sessions_trouble_is_its_own(broken: Lot, why: str) -> None:
    """It is refused with the reason; the others of the delivery are taken."""
    async with receiving() as one:
        receipt = await one.source.take(decode(encode(delivery(lot(make_rows(3)), broken))), None)
        ((_, reason),) = receipt.refused.items()
        assert why in reason
        assert seqs(one) == [0, 1, 2]


@pytest.mark.asyncio
async def test_one_nodes_clock_disturbs_no_other() -> None:
    """Rows of 1970 and of the year 3000 keep their times; sessions of other nodes live and end as they say."""
    async with receiving() as one:
        odd = [record._replace(time=at) for record, at in zip(make_rows(2), (1.0, 32_503_680_000.0), strict=True)]
        await one.source.take(delivery(lot(odd, started=0.5)), None)
        end = make_event(row.FINISH, {"exit_code": 0}, seq=0, time=5.0)
        await one.source.take(delivery(lot([end], TWO), alive=[], sender=B), None)
        assert [record.time for record in one.stored(ONE)] == [1.0, 32_503_680_000.0]
        assert one.known(ONE).ended is None
        assert one.known(TWO).ended == 5.0, "by its own clock, since its machine's samples are told apart by that"
        sessions = {stored.id: stored for stored in one.place.spool.sessions()}
        assert sessions[TWO].ended == pytest.approx(time.time(), abs=60), "by ours, since it is forgotten by that"


# --- life and death of sessions --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_session_lives_as_long_as_its_collector_says() -> None:
    """By heartbeats, however long no row comes; when it is called alive no longer, it is let go, without an end of
    ours, and a row that comes all the same goes on where it was.
    """
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(2))), None)
        for _ in range(10):
            one.time.now += gateways.SILENT / 2
            await one.source.take(delivery(), None)
            await one.source.look()
            assert one.known(ONE).ended is None
        await one.source.take(delivery(alive=[]), None)
        one.time.now += gateways.SILENT - 1
        await one.source.take(delivery(alive=[]), None)
        one.time.now += gateways.SILENT - 1
        await one.source.look()
        assert one.known(ONE).ended is not None
        assert seqs(one) == [0, 1]
        await one.source.take(delivery(lot(make_rows(4))), None)
        assert one.known(ONE).ended is None
        assert seqs(one) == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_a_silent_collectors_sessions_are_let_go() -> None:
    """And no other's; when it comes back, its sessions go on, with the numbers they had."""
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(2))), None)
        await one.source.take(delivery(lot(make_rows(2), TWO), alive=[TWO], sender=B), None)
        one.time.now += gateways.SILENT + 1
        await one.source.take(delivery(alive=[TWO], sender=B), None)
        await one.source.look()
        assert (one.known(ONE).ended is None, one.known(TWO).ended is None) == (False, True)
        assert one.source.alive == 1
        receipt = await one.source.take(delivery(), None)
        assert receipt.unknown == [ONE], "its record is asked for"
        assert (await one.source.take(delivery(Lot(lot(make_rows(1)).record)), None)).unknown == []
        assert one.known(ONE).ended is None
        await one.source.take(delivery(lot(make_rows(3))), None)
        assert seqs(one) == [0, 1, 2]


@pytest.mark.asyncio
@pytest.mark.parametrize("namespace", [None, "team"])
async def test_nobody_speaks_for_anothers_session(namespace: str | None) -> None:
    """A collector that calls alive what another one feeds us, of its own namespace or not, neither keeps it alive nor
    has it let go of.
    """
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(2))), None)
        await one.source.take(delivery(alive=[ONE], sender=B), namespace)
        one.time.now += gateways.SILENT - 1
        await one.source.take(delivery(), None)
        one.time.now += 2
        await one.source.look()
        assert one.known(ONE).ended is None, "the other one has become silent, and this one is heard"
        one.time.now += gateways.SILENT - 3
        await one.source.take(delivery(alive=[ONE], sender=B), namespace)
        one.time.now += 2
        await one.source.look()
        assert one.known(ONE).ended is not None, "this one has become silent, and the other one is heard"


@pytest.mark.asyncio
async def test_a_session_goes_over_to_who_sends_of_it() -> None:
    """A collector that lost its spool has a new id: it is asked for the records of its sessions, and from then on it is
    the one that says whether they live.
    """
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(2))), None)
        assert (await one.source.take(delivery(sender=B), None)).unknown == [ONE]
        assert (await one.source.take(delivery(Lot(lot(make_rows(1)).record), sender=B), None)).unknown == []
        one.time.now += gateways.SILENT - 1
        assert (await one.source.take(delivery(sender=B), None)).unknown == []
        one.time.now += 2
        await one.source.look()
        assert one.known(ONE).ended is None


@pytest.mark.asyncio
async def test_a_finish_ends_a_session() -> None:
    """At once, though its collector may call it alive for a moment longer, or send it again."""
    async with receiving() as one:
        records = [*make_rows(2), make_event(row.FINISH, {"exit_code": 0}, seq=2)]
        for _ in range(2):
            receipt = await one.source.take(delivery(lot(records)), None)
            assert receipt.unknown == []
            assert one.known(ONE).ended is not None
        assert seqs(one) == [0, 1, 2]


@pytest.mark.asyncio
async def test_what_waits_while_its_session_ends_is_put_off() -> None:
    """A resend that comes at the same instant as the finish: what it holds is known again when it comes once more."""
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(1))), None)
        records = [*make_rows(2), make_event(row.FINISH, {"exit_code": 0}, seq=2)]
        both = [one.source.take(delivery(lot(records), sender=sender), None) for sender in (A, B)]
        came = await asyncio.gather(*both)
        again = [receipt for receipt in came if receipt.later]
        assert all("begins anew" in receipt.later[ONE] for receipt in again)
        await one.source.take(delivery(lot(records)), None)
        assert seqs(one) == [0, 1, 2]
        assert one.known(ONE).ended is not None


@pytest.mark.asyncio
async def test_after_a_restart_sessions_and_accounts_go_on() -> None:
    """What was stored is known again, as are the accounts, exactly; a session lives until its collector has spoken."""
    async with receiving() as one:
        await one.source.take(delivery(lot(make_rows(5)), books=Balance(5, 0, 5), lost_rows=7), None)
        intake = Intake(one.place.spool, one.place.intake.registry)
        again = GatewaySource(intake, monotonic=one.time)
        again.resume()
        with pytest.raises(Busy, match="starting"):
            await again.take(delivery(lot(make_rows(1))), None)
        inlets = [inlet for inlet, _ in intake.resume()]
        assert all(isinstance(inlet, RelayedInlet) for inlet in inlets)
        again.expect(inlet for inlet in inlets if isinstance(inlet, RelayedInlet))
        assert (await again.take(delivery(lot(make_rows(8)), books=Balance(8, 5, 3)), None)).doubles == 5
        assert seqs(one) == list(range(8))
        (feeder,) = again.feeders.shown(10)
        assert (feeder["points"], feeder["host"], feeder["books"]["delivered"]) == (8, "n1", 5)
        one.time.now += gateways.UNHEARD + 1
        await again.look()
        assert one.known(ONE).ended is None


# --- namespaces ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_namespace_cannot_write_into_anothers_session() -> None:
    """Nor into its run: that has the namespace in its id. What the record claims of these does not count."""
    async with receiving() as one:
        mine = lot(make_rows(2))
        mine.record.update(namespace="b", via="somebody")
        await one.source.take(delivery(mine), "a")
        session = one.known(ONE).session
        assert (session.namespace, session.run.id, session.run.name) == ("a", "a.r1", "r1")
        for namespace in ("b", None):
            receipt = await one.source.take(delivery(lot(make_rows(4)), sender=B), namespace)
            assert "another namespace" in receipt.refused[ONE]
        assert seqs(one) == [0, 1]
        assert {feeder["namespace"] for feeder in one.source.feeders.shown(10)} == {"a", "b", None}


@pytest.mark.asyncio
async def test_a_session_of_this_machine_is_fed_by_nobody() -> None:
    """Its numbers are its own, and it is read here."""
    async with receiving() as one:
        await one.place.intake.begin({"session": ONE, "run": {"id": "r1"}})
        receipt = await one.source.take(delivery(lot(make_rows(4))), None)
        assert "another way" in receipt.refused[ONE]


# --- too much --------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_deliveries_are_put_off_while_there_is_no_room() -> None:
    """With a time to come again, which is not the same for all; when there is room, they are taken."""
    async with receiving(chance=iter([0.0, 1.0, 0.5]).__next__) as one:
        options = one.place.spool.options
        one.place.spool.set_limits(replace(options, max_size=1))
        waits = set()
        await one.place.intake.begin({"session": TWO, "run": {"id": "r1"}})
        inlet = one.place.intake.find(TWO)
        assert inlet is not None
        inlet.take(inlet.stream(), wire.event_frame(1e9, None, "text", {}))
        await one.place.intake.store([inlet])
        for _ in range(3):
            with pytest.raises(Busy, match="all but full") as put_off:
                await one.source.take(delivery(lot(make_rows(1))), None)
            waits.add(put_off.value.retry_after)
        assert waits == {gateways.BUSY_PAUSE, 2 * gateways.BUSY_PAUSE, gateways.BUSY_PAUSE + 2}
        one.place.spool.set_limits(options)
        await one.source.take(delivery(lot(make_rows(1))), None)


@pytest.mark.asyncio
async def test_so_many_deliveries_are_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is put off, at once."""
    monkeypatch.setattr(gateways, "MAX_AT_ONCE", 3)
    async with receiving() as one:
        many = [
            one.source.take(delivery(lot(make_rows(1), f"{number:032x}"), sender=f"{number:032x}"), None)
            for number in range(5)
        ]
        came = await asyncio.gather(*many, return_exceptions=True)
        assert [isinstance(each, Busy) for each in came] == [False] * 3 + [True] * 2


@pytest.mark.asyncio
async def test_so_many_collectors_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is known goes on; the accounts that are kept have an end as well."""
    monkeypatch.setattr(gateways, "MAX_FEEDERS", 2)
    async with receiving() as one:
        for sender in (A, B, A):
            await one.source.take(delivery(sender=sender), None)
        with pytest.raises(Busy, match="2 collectors"):
            await one.source.take(delivery(sender="c" * 32), None)


@pytest.mark.asyncio
async def test_so_many_sessions_are_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further ones are told to come later; those that are there go on."""
    monkeypatch.setattr("wayside_collector.intake.sessions.MAX_RELAYED", 1)
    async with receiving() as one:
        receipt = await one.source.take(delivery(lot(make_rows(1)), lot(make_rows(1), TWO)), None)
        assert list(receipt.later) == [TWO]
        assert seqs(one) == [0]
