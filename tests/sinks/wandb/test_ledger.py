"""The ledger: after any crash it tells which rows were on their way, and under which number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sinks.wandb.flight import Flight, Line, RunKey, Sent, number
from wayside_collector.sinks.wandb.ledger import (
    Ledger,
    Refused,
    Segment,
    Uncertain,
    carried,
    decode,
    encode,
    intent,
    recover,
)

KEY = RunKey("me", "p", "r1")


def lines(flight: Flight, *seqs: int, session: str = "s"):
    return number([Line(((session, seq),), None, 0.0, {}) for seq in seqs], flight.last)


def ship(ledger: Ledger, flight: Flight, *seqs: int, samples: int = 0):
    """Note and hand over, as a send does."""
    batch, numbered = ledger.newest + 1, lines(flight, *seqs)
    refs = [("sys", flight.samples + i) for i in range(samples)]
    ledger.append([intent(KEY, batch, flight, numbered, refs)])
    flight.depart(batch, numbered, refs)


def refs(uncertain: dict[RunKey, Uncertain]) -> dict[int, tuple]:
    return {step: sent.refs for step, sent in uncertain[KEY].lines.items()} if KEY in uncertain else {}


def test_rows_on_their_way_are_there_after_a_crash(tmp_path):
    """What was noted and not settled is read back with its numbers."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 10, 11, samples=2)
    ship(ledger, flight, 12)
    found = Ledger(tmp_path).open(0)
    assert refs(found) == {0: (("s", 10),), 1: (("s", 11),), 2: (("s", 12),)}
    assert found[KEY].samples == {0: Sent(1, (("sys", 0),)), 1: Sent(1, (("sys", 1),))}
    ledger.close()


def test_settled_batches_are_passed_over(tmp_path):
    """Rows that the pump has committed as done are in question no more: a replay of one must be sent."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 0)
    ship(ledger, flight, 1)
    ledger.close()
    assert refs(Ledger(tmp_path).open(1)) == {1: (("s", 1),)}
    assert Ledger(tmp_path).open(2) == {}


def test_a_later_batch_takes_back_numbers_that_were_never_used(tmp_path):
    """Rows whose child died are numbered anew: the old numbers, now another's, must not count as theirs."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 0, 1, 2)
    flight.land(0)
    flight.restart(0, 0)  # the backend had step 0 only
    ship(ledger, flight, 7, 1, 2)
    ledger.close()
    found = refs(Ledger(tmp_path).open(0))
    assert found == {0: (("s", 0),), 1: (("s", 7),), 2: (("s", 1),), 3: (("s", 2),)}


def test_a_batch_that_was_noted_and_never_shipped_is_taken_back(tmp_path):
    """A send cancelled between ledger and child has sent nothing: what is numbered next proves it."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ledger.append([intent(KEY, 1, flight, lines(flight, 5, 6), [("sys", 0)])])  # and no depart
    batch = number([Line((("s", 9),), 100, 0.0, {})], flight.last)
    ledger.append([intent(KEY, 2, flight, batch, [])])
    ledger.close()
    found = Ledger(tmp_path).open(0)
    assert refs(found) == {100: (("s", 9),)}
    assert found[KEY].samples == {}


def test_a_refused_line_did_not_arrive(tmp_path):
    """W&B has a blank line under that number: the row itself is not there."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 0, 1, samples=2)
    ledger.append([Refused(KEY, [1], [0])])
    ledger.close()
    found = Ledger(tmp_path).open(0)
    assert refs(found) == {0: (("s", 0),)}
    assert set(found[KEY].samples) == {1}


def test_segments_are_those_that_may_hold_uncertain_rows(tmp_path):
    """Offline, only folders written since the last settled batch must be read back, each once."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ledger.append([Segment(KEY, "/a", 0)])
    ship(ledger, flight, 0)
    ledger.append([Segment(KEY, "/a", 0)])
    ship(ledger, flight, 1)
    ledger.append([Segment(KEY, "/b", 3)])
    ship(ledger, flight, 2)
    ledger.close()
    assert Ledger(tmp_path).open(0)[KEY].segments == [("/a", 0), ("/b", 3)]
    assert Ledger(tmp_path).open(2)[KEY].segments == [("/b", 3)]


@pytest.mark.parametrize("cut", [1, 7, 8, 20])
def test_a_torn_record_was_never_acted_upon(tmp_path, cut):
    """A crash while writing leaves a torn end: it is passed over, and what is written next is readable."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 0)
    whole = (tmp_path / "ledger").stat().st_size
    ship(ledger, flight, 1)
    ledger.close()
    path = tmp_path / "ledger"
    path.write_bytes(path.read_bytes()[: whole + cut])
    again = Ledger(tmp_path)
    assert refs(again.open(0)) == {0: (("s", 0),)}
    flight.restart(0, 0)
    ship(again, flight, 2)
    again.close()
    assert refs(Ledger(tmp_path).open(0)) == {0: (("s", 0),), 1: (("s", 2),)}


def test_a_full_ledger_is_begun_anew_with_what_is_aloft(tmp_path):
    """It stays small however long one run's rows are stuck while another's flow."""
    ledger, stuck = Ledger(tmp_path, max_file=2000), Flight()
    other, flowing = RunKey(None, "p", "other"), Flight()
    ledger.open(0)
    ship(ledger, stuck, 0, 1, samples=1)
    stuck.land(0)  # arrived, and not reported
    stuck.segment = ("/a", 0)
    for seq in range(300):
        batch, numbered = ledger.newest + 1, lines(flowing, seq, session="f")
        aloft = carried(KEY, stuck) + carried(other, flowing) if ledger.full else []
        ledger.append([intent(other, batch, flowing, numbered, [])], aloft)
        flowing.depart(batch, numbered, [])
        flowing.report(flowing.land(flowing.last))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 6000
    ledger.close()
    found = Ledger(tmp_path).open(0)
    assert refs(found) == {0: (("s", 0),), 1: (("s", 1),)}
    assert found[KEY].samples == {0: Sent(1, (("sys", 0),))}
    assert ("/a", 0) in found[KEY].segments


def test_the_newest_batch_is_known_after_a_restart(tmp_path):
    """A number given twice would let a settled batch hide a new one."""
    ledger, flight = Ledger(tmp_path), Flight()
    ledger.open(0)
    ship(ledger, flight, 0)
    ship(ledger, flight, 1)
    ledger.close()
    again = Ledger(tmp_path)
    again.open(2)
    assert again.newest == 2
    again.close()
    again.open(9)
    assert again.newest == 9
    again.close()


@given(st.data())
def test_whatever_happened_the_ledger_knows_what_is_where(data):
    """A model run: batches of rows, some cut short, some acknowledged, some lost with the child. At any crash the rows
    the ledger names up to the backend's last step are exactly those that are there and were not settled.
    """
    flight, records, there, seq = Flight(), [], {}, 0
    for batch in range(1, data.draw(st.integers(2, 9))):
        count, jump = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
        numbered = number(
            [Line((("s", seq + i),), flight.last + 1 + jump + i, 0.0, {}) for i in range(count)], flight.last
        )
        records.append(intent(KEY, batch, flight, numbered, []))
        shipped = data.draw(st.integers(0, count))
        arrived = data.draw(st.integers(0, shipped))
        flight.depart(batch, numbered[:shipped], [])
        there.update({n.step: n.line.refs for n in numbered[:arrived]})
        seq += count
        if arrived < count:  # the child died; the run is opened again
            last = max(there, default=-1)
            flight.land(last)
            flight.restart(last, 0)
    last = max(there, default=-1)
    found = recover(decode(b"".join(map(encode, records)))[0], 0)
    assert {step: r for step, r in refs(found).items() if step <= last} == there
