"""What a supervisor like systemd hears of a collector, on a socket of its own."""

import signal
import socket

from e2e.machine import QUIET, Machine


def test_systemd_hears_of_its_life(machine: Machine) -> None:
    """READY once it is ready, WATCHDOG again and again, STOPPING when it stops; and it ends as ever."""
    address = machine.memory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(address))
        heard.settimeout(15)
        collector = machine.collector(QUIET, NOTIFY_SOCKET=str(address), WATCHDOG_USEC="200000")
        assert [heard.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        assert collector.is_ready()
        collector.process.send_signal(signal.SIGTERM)
        while (word := heard.recv(100)) == b"WATCHDOG=1":
            pass
        assert word == b"STOPPING=1"
        assert collector.process.wait(15) == 0


def test_a_supervisor_that_is_gone_stops_nobody(machine: Machine) -> None:
    """A socket that is not there is a warning, and the collector is ready all the same."""
    collector = machine.collector(QUIET, NOTIFY_SOCKET=str(machine.memory / "nobody"), WATCHDOG_USEC="odd")
    collector.wait_ready()
    assert collector.stop() == 0
    assert "systemd was not told READY=1" in collector.read_log()
