"""Long pauses, and journals of an earlier boot."""

import signal
import time

import pytest
from oracle.places import age
from oracle.producer import read_claims
from oracle.world import World, wait_for
from wayside import wire

pytestmark = pytest.mark.timeout(300)
MINUTE = 60.0


@pytest.mark.long
@pytest.mark.parametrize("who", ["collector", "trainer", "both"])
def test_a_minute_of_sigstop_loses_nothing_that_is_not_booked(world: World, who: str) -> None:
    """Whoever stands still for a minute goes on as if nothing had been: rows arrive once, or are booked."""
    world.start_collector()
    producer = world.add_producer()
    world.start_producer(producer, 0.05)
    assert world.collector is not None
    assert producer.process is not None
    frozen = {"collector": [world.collector], "trainer": [producer.process]}.get(
        who, [world.collector, producer.process]
    )
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    time.sleep(MINUTE)  # the fault itself
    for process in frozen:
        process.send_signal(signal.SIGCONT)
    accepted = read_claims(str(producer.claims))[1]
    wait_for(lambda: read_claims(str(producer.claims))[1] > accepted + 500, 60, "the trainer to go on")
    assert world.conclude() == []


@pytest.mark.parametrize("torn", [False, True])
def test_a_journal_of_an_earlier_boot(world: World, torn: bool) -> None:
    """Whole, all of it arrives. With pages that never reached the disk, which read as zeros, what stands before them
    arrives, and what is behind them is booked, row by row, and never made up.
    """
    world.start_collector()
    producer = world.add_producer()
    world.start_producer(producer, 0.0)
    world.kill_collector()
    wait_for(lambda: read_claims(str(producer.claims))[1] > 30_000, 60, "some segments")
    world.kill_producer(producer)
    segments = [path for folder in world.journals() for path in folder.glob("*.seg")]
    for path in segments:
        age(path)
    if torn:
        full = sorted(segments, key=lambda path: _number(path.read_bytes()))[-2]  # the last but one is full
        with full.open("r+b") as file:
            file.seek(8192)
            file.write(bytes(4096))
    world.start_collector()
    assert world.conclude() == []
    assert bool(world.lost()) is torn


def _number(data: bytes) -> int:
    """The place of a segment among its session's; -1 for one that was only prepared."""
    if not data[:8].strip(b"\0"):
        return -1
    return wire.read_segment_header(data).number
