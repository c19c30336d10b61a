"""The program of the child process: commands come in on one pipe, replies go out on another, `sdk` does the work.

    python -m wayside_collector.sinks.wandb.child COMMANDS REPLIES PARENT     (ends of the pipes, a process id)

It does one command after the other and keeps no queue. It ends when the collector does (the pipe closes; should it be
busy then, PR_SET_PDEATHSIG), when wandb-core does, or at anything it does not understand: what was not acknowledged
is sent again through the collector's next child. Only the standard library, msgspec, psutil and wandb may be imported
on this side, and `protocol` and `transaction_log` of ours.
"""

import ctypes
import os
import selectors
import signal
import sys
import threading

import psutil

from .protocol import HEAD, Command, Failed, Ready, Reply, Start, Stopped, length, pack, read_command
from .sdk import Lost, Refused, Sdk

_PR_SET_PDEATHSIG = 1
FAILED, LOST = 1, 3  #: exit statuses: nothing could be done; wandb-core is gone


class Wire:
    """The two pipes. `write` may be called from any thread."""

    def __init__(self, commands: int, replies: int) -> None:
        self.commands = commands
        self._replies = replies
        self._lock = threading.Lock()

    def read(self) -> tuple[int, Command] | None:
        """The next command; None when the collector is gone."""
        head = self._exactly(HEAD)
        body = self._exactly(length(head)) if head else b""
        return read_command(body) if body else None

    def write(self, id: int, reply: Reply) -> None:
        data = memoryview(pack(id, reply))
        with self._lock:
            while data:
                data = data[os.write(self._replies, data) :]

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = os.read(self.commands, min(size - len(data), 1 << 20))
            if not piece:
                return b""
            data += piece
        return bytes(data)


def begin(wire: Wire) -> tuple[Sdk, int] | None:
    """The SDK as the first command wants it, and wandb-core's process id; None when it did not start."""
    first = wire.read()
    start = first[1] if first is not None else None
    if first is None or not isinstance(start, Start):
        return None
    umask = os.umask(0o077)  # the SDK's own logs hold the relay's address, which is for nobody else
    try:
        sdk = Sdk(start, lambda handle: wire.write(0, Stopped(handle)), umask)
    except Refused as refused:
        wire.write(first[0], Failed(str(refused)))
        return None
    cores = psutil.Process().children()
    wire.write(first[0], Ready(sdk.version, cores[0].pid) if cores else Failed("wandb-core did not start"))
    return (sdk, cores[0].pid) if cores else None


def serve(wire: Wire) -> int:
    """Until the collector or wandb-core is gone; the exit status."""
    begun = begin(wire)
    if begun is None:
        return FAILED
    sdk, core = begun
    watch = selectors.DefaultSelector()
    watch.register(wire.commands, selectors.EVENT_READ)
    watch.register(os.pidfd_open(core), selectors.EVENT_READ, LOST)
    while True:
        for key, _ in watch.select():
            if key.data == LOST:
                return LOST
            received = wire.read()
            if received is None:
                return 0
            try:
                wire.write(received[0], sdk.do(received[1]))
            except Refused as refused:
                wire.write(received[0], Failed(str(refused)))
            except Lost:
                return LOST


def main() -> None:
    """Leaves by os._exit: the SDK's own hooks at exit would wait for the network."""
    commands, replies, parent = (int(argument) for argument in sys.argv[1:4])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # when to end is the collector's to say
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for end in (commands, replies):
        os.set_inheritable(end, False)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)
    status = FAILED
    try:
        status = serve(Wire(commands, replies))
    except BrokenPipeError:
        status = 0
    finally:
        sys.stderr.flush()
        if status == FAILED and sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())
        os._exit(status)


if __name__ == "__main__":
    main()
