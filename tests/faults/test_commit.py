"""Commits whose log cannot be synced: SQLite wrote them, nobody knows whether they will be there, and the collector may
be killed just then.
"""

import pytest
from oracle.instruments import Shim
from oracle.world import World, wait_for

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("killed", [False, True])
def test_a_log_that_cannot_be_synced_loses_and_doubles_nothing(world: World, shim: Shim, killed: bool) -> None:
    """Only the database's log fails to sync, again and again, for moments of any length; then everything arrives
    once, also when the collector is killed in such a moment.
    """
    world.collector_environ = shim.environ(world.spool_db.with_name("spool.db-wal"))
    world.start_collector()
    world.start_producer(world.add_producer(), 0.05)
    for _ in range(4):
        stored = _stored(world)
        wait_for(lambda seen=stored: _stored(world) > seen, 30, "rows to be stored")
        shim.fail("fdatasync=5 fsync=5")
        wait_for(lambda: world.status()["spool"]["last_error"], 30, "the spool to say that it cannot be written")
        if killed:
            world.kill_collector()
            shim.mend()
            world.start_collector()
        shim.mend()
        wait_for(lambda: not world.status()["spool"]["last_error"], 30, "the spool to work again")
    assert world.conclude() == []
    assert world.status()["spool"]["damaged"] == 0


def _stored(world: World) -> int:
    return int(world.status()["ingest"]["received_rows"])
