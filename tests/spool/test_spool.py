"""What goes in comes out: batches, sessions, accounts, over closing and opening."""

import threading
from pathlib import Path
from typing import Any

import pytest
from spool.making import (
    NAMES,
    SCHEMA,
    T0,
    WITHIN,
    as_contents,
    begin,
    contents,
    make_batch,
    opened,
    put,
    record_of,
    session_id,
)
from wayside import wire
from wayside_collector.spool import Amount, DeadLetter, Loss, SinkCommit, Spool, SpoolError, SpoolOptions, Stored
from wayside_collector.spool.files import CONTEXT, EVENTS, ROLL_AGE, ROLL_SIZE, ROWS, read_blocks, segment_files
from wayside_collector.spool.letters import MAX_DEAD_LETTERS
from wayside_collector.testing import FakeClock


def test_rows_and_events_come_back_byte_for_byte(tmp_path: Path) -> None:
    """Each batch lies in at most two extents, and what they hold is what was handed in."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        both, only_rows, only_events = (
            make_batch(key, 0, rows=3, events=2),
            make_batch(key, 5, rows=4),
            make_batch(key, 9, rows=0, events=1),
        )
        stored = put(spool, both, only_rows, only_events)
        assert [as_contents(batch) for batch in (both, only_rows, only_events)] == list(contents(spool).values())
        assert [one.amount for one in stored] == [Amount(6, 3, 2), Amount(8, 4, 0), Amount(0, 0, 1)]
        assert stored == spool.batches(0, 10)
        assert (stored[1].events, stored[2].rows) == (None, None)


def test_a_spool_opened_again_holds_what_it_held(tmp_path: Path) -> None:
    """Batches, schemas, totals of the session; and what is stored then has higher numbers."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0), make_batch(key, 3, events=1))
        before = contents(spool)
    with opened(tmp_path) as spool:
        assert contents(spool) == before
        assert spool.schemas(key) == {0: SCHEMA}
        again = begin(spool)
        assert (again.key, again.next_seq, again.next_point) == (key, 7, 12)
        (stored,) = put(spool, make_batch(key, 7))
        assert stored.id > max(before)
        assert spool.last_batch() == stored.id


def test_a_closed_spool_refuses_what_is_handed_in(tmp_path: Path) -> None:
    """With an error, not with silence; closing twice and closing what was never opened are nothing."""
    spool = Spool(SpoolOptions(tmp_path))
    spool.close()
    with pytest.raises(SpoolError, match="not open"):
        spool.append([make_batch(1, 0)]).result(WITHIN)
    spool.open()
    key = begin(spool).key
    late = spool.append([make_batch(key, 0)])
    spool.close()
    spool.close()
    assert [one.session for one in late.result(WITHIN)] == [key]
    with pytest.raises(SpoolError, match="closed"):
        spool.append([make_batch(key, 3)]).result(WITHIN)
    with pytest.raises(SpoolError, match="closed"):
        spool.last_batch()


def test_batches_are_given_in_order_from_a_number_on_and_by_session(tmp_path: Path) -> None:
    """Readers go on from where they are, and may ask for one session alone."""
    with opened(tmp_path) as spool:
        one, two = begin(spool, 1).key, begin(spool, 2).key
        stored = put(spool, *[make_batch(key, 3 * turn) for turn in range(3) for key in (one, two)])
        numbers = [each.id for each in stored]
        assert [each.id for each in spool.batches(0, 4)] == numbers[:4]
        assert [each.id for each in spool.batches(numbers[3], 10)] == numbers[4:]
        assert [each.id for each in spool.batches(numbers[0], 10, two)] == numbers[1::2]


def test_whoever_listens_hears_of_each_batch_once_it_is_stored(tmp_path: Path) -> None:
    """In the order in which the batches are numbered, from the writer's thread."""
    heard: list[Stored] = []
    threads: set[str] = set()

    def on_stored(stored: list[Stored]) -> None:
        heard.extend(stored)
        threads.add(threading.current_thread().name)

    with opened(tmp_path, on_stored=on_stored) as spool:
        key = begin(spool).key
        stored = [each for first in range(0, 30, 3) for each in put(spool, make_batch(key, first))]
    assert heard == stored
    assert threads == {"spool"}


def test_each_class_has_files_of_its_own(tmp_path: Path) -> None:
    """So that system samples can be dropped, and rows and events stay."""
    with opened(tmp_path) as spool:
        key, system = begin(spool, 1).key, begin(spool, 2).key
        put(spool, make_batch(key, 0, events=1), make_batch(system, 0, chain="system", events=1))
        kinds = {
            chain: [block.kind for _, block, _ in read_blocks(path.read_bytes()) if block is not None]
            for _, chain, path in segment_files(tmp_path)
        }
    assert kinds == {
        "scalars": [CONTEXT, ROWS],
        "system": [CONTEXT, ROWS],
        "events": [CONTEXT, EVENTS, CONTEXT, EVENTS],
    }


def test_a_file_is_readable_without_the_database(tmp_path: Path) -> None:
    """Each file says once who a session is, and which schemas its rows use, before their first use."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
        put(spool, make_batch(key, 3))
        clock.forward(ROLL_AGE + 1)
        put(spool, make_batch(key, 6))
    first, second = [path.read_bytes() for _, _, path in segment_files(tmp_path)]
    for data, kinds in ((first, [CONTEXT, ROWS, ROWS]), (second, [CONTEXT, ROWS])):
        blocks = [(block, held) for _, block, held in read_blocks(data) if block is not None]
        assert [block.kind for block, _ in blocks] == kinds
        assert blocks[0][1] == record_of(session_id(1)) + SCHEMA
        assert {block.session.hex() for block, _ in blocks} == {session_id(1)}
        (span,) = [span for span in wire.scan(blocks[0][1]).spans if span.type == wire.SCHEMA]
        assert wire.read_schema(blocks[0][1], span) == NAMES


def test_a_file_that_is_full_is_followed_by_the_next(tmp_path: Path) -> None:
    """A file ends a batch after ROLL_SIZE, so that a limit drops a known amount at once."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        rows = 1 << 14  # of 48 bytes
        for turn in range(2 * ROLL_SIZE // (48 * rows) + 4):
            put(spool, make_batch(key, turn * rows, rows=rows))
        sizes = [path.stat().st_size for _, _, path in segment_files(tmp_path)]
        assert spool.size == sum(sizes)
    assert len(sizes) == 3
    assert all(ROLL_SIZE < size < ROLL_SIZE + (2 << 20) for size in sizes[:2])


def test_a_sinks_commit_is_there_whole_after_a_restart(tmp_path: Path) -> None:
    """Position, cursors, books, state and dead letters, those that were removed included."""
    letter = DeadLetter(T0, 1, 7, "too large", 2, b"{}")
    with opened(tmp_path) as spool:
        spool.commit(SinkCommit("jsonl", 1, {1: "a", 2: "b"}, "first", {"file": b"1", "other": b"x"}, [letter])).result(
            WITHIN
        )
        spool.commit(SinkCommit("jsonl", 5, {1: None, 3: "c"}, "second", {"file": b"2", "other": None})).result(WITHIN)
        spool.commit(SinkCommit("lens", 2, {1: "z"}, "lens", {"file": b"9"})).result(WITHIN)
        spool.keep_state("election", [("state", b"{}")]).result(WITHIN)
    with opened(tmp_path) as spool:
        assert spool.sink("jsonl") == (5, "second")
        assert spool.cursors("jsonl") == {2: "b", 3: "c"}
        assert spool.state("jsonl") == {"file": b"2"}
        assert spool.dead_letters("jsonl") == 1
        assert (spool.sink("lens"), spool.cursors("lens"), spool.state("lens")) == (
            (2, "lens"),
            {1: "z"},
            {"file": b"9"},
        )
        assert spool.sink("nobody") is None
        assert spool.state("election") == {"state": b"{}"}


def test_a_commit_is_all_or_nothing(tmp_path: Path) -> None:
    """What cannot be written takes the whole commit with it, and the next one is a commit like any other."""
    unwritable: Any = object()
    with opened(tmp_path) as spool:
        spool.commit(SinkCommit("jsonl", 1, {1: "a"}, "first", {"file": b"1"})).result(WITHIN)
        bad = SinkCommit("jsonl", 2, {1: "b"}, "second", {"file": b"2", "worse": unwritable})
        with pytest.raises(SpoolError):
            spool.commit(bad).result(WITHIN)
        assert (spool.sink("jsonl"), spool.cursors("jsonl"), spool.state("jsonl")) == (
            (1, "first"),
            {1: "a"},
            {"file": b"1"},
        )
        spool.commit(SinkCommit("jsonl", 3, {}, "third")).result(WITHIN)
        assert spool.last_error is None


def test_the_oldest_dead_letters_go_first(tmp_path: Path) -> None:
    """Beyond the limit of one sink; those of another sink stay."""
    with opened(tmp_path) as spool:
        spool.commit(SinkCommit("lens", 0, {}, "", letters=[DeadLetter(T0, 1, 0, "no", 1, b"")])).result(WITHIN)
        letters = [DeadLetter(T0, 1, seq, "no", 1, b"") for seq in range(MAX_DEAD_LETTERS + 5)]
        spool.commit(SinkCommit("jsonl", 0, {}, "", letters=letters)).result(WITHIN)
        found = spool.query("SELECT min(seq), max(seq), count(*) FROM dead_letters WHERE sink = 'jsonl'")
        assert found == [(5, MAX_DEAD_LETTERS + 4, MAX_DEAD_LETTERS)]
        assert spool.dead_letters("lens") == 1


def test_what_never_came_is_summed_up_and_the_numbers_go_on_after_it(tmp_path: Path) -> None:
    """A loss between batches and a loss at the end both count; the latter moves where the session goes on."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        gap = Loss(key, 3, 10, 14, "client", T0)
        end = Loss(key, 13, 15, 4, "client", T0 + 1)
        spool.append([make_batch(key, 0), make_batch(key, 10)], [gap, end]).result(WITHIN)
        assert spool.lost_by_client(key) == (9, 18)
        row = begin(spool)
        assert (row.next_seq, row.next_point) == (15, 26 + 4)


def test_a_session_that_is_over_may_come_back(tmp_path: Path) -> None:
    """It lives again under the same key, with its totals; whether it ever said that it was finished is kept."""
    with opened(tmp_path) as spool:
        id = session_id(1)
        first = spool.begin_session(id, record_of(id), T0, ["/j"]).result(WITHIN)
        assert (first.journals, first.finished, first.ended) == (("/j",), False, None)
        put(spool, make_batch(first.key, 0, events=1, kind="finish"))
        spool.end_session(first.key, T0 + 9).result(WITHIN)
        (over,) = spool.sessions()
        assert (over.ended, over.finished, over.journals) == (T0 + 9, True, ())
        again = begin(spool)
        assert (again.key, again.ended, again.finished, again.next_seq) == (first.key, None, True, 4)
