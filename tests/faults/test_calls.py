"""`log()` from where nobody expects it, in real processes: signal handlers, `__del__`, calls left by an exception, and
forks while another thread logs.
"""

import json
import subprocess
import sys

import pytest
from oracle.world import World, wait_for

pytestmark = pytest.mark.timeout(180)

ANYWHERE = """
import gc, json, signal, sys, wayside
wayside.init(project="anywhere", id="anywhere")
counts = {"main": 0, "signal": 0, "del": 0, "raised": 0}

def say(who):
    number = counts[who]
    counts[who] = number + 1
    wayside.log({f"{who}/number": float(number)})

class Left(Exception):
    pass

class Dying:
    def __init__(self):
        self.me = self  # only the collector of garbage ends it, wherever that may be
    def __del__(self):
        say("del")

inside = False

def handler(number, frame):
    say("signal")
    if inside and counts["signal"] % 5 == 0:
        counts["raised"] += 1
        raise Left

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
gc.set_threshold(50)
while counts["signal"] < 1500 or counts["del"] < 500 or counts["raised"] < 20:
    Dying()
    try:
        try:
            inside = True
            say("main")
        finally:
            inside = False
    except Left:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
gc.collect()
wayside.finish()
sys.stdout.write(json.dumps(counts))
"""


def test_rows_logged_from_handlers_and_finalizers_arrive_once(world: World) -> None:
    """A handler logs, and sometimes raises, in the middle of `log()`; garbage logs when it is collected: no call hangs,
    and no row comes twice or out of nowhere. A call that an exception left may or may not have counted, no other.
    """
    world.start_collector()
    done = subprocess.run(
        [sys.executable, "-c", ANYWHERE], env=world.environ, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    world.settle()
    arrived: dict[str, list[int]] = {"main": [], "signal": [], "del": []}
    for path in sorted((world.folder / "jsonl").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            for name, value in json.loads(line).get("metrics", {}).items():
                arrived[name.partition("/")[0]].append(int(value))
    missing = 0
    for who, numbers in arrived.items():
        assert len(numbers) == len(set(numbers)), f"rows of {who} twice"
        assert set(numbers) <= set(range(counts[who])), f"rows of {who} that were never logged"
        missing += counts[who] - len(numbers)
    assert missing <= counts["raised"], "more calls left no row than were left by an exception"


def test_forks_while_another_thread_logs_lose_nothing(world: World) -> None:
    """A thread logs without a pause while workers are forked, log, and exit or are killed: what each of them was told
    is accepted arrives, once.
    """
    world.start_collector()
    producer = world.add_producer("forks")
    world.start_producer(producer, 0.01)
    wait_for(lambda: len(producer.slots()) > 12, 60, "a dozen workers")
    assert world.conclude() == []
