"""What all tests share: a place in memory that goes with them, and a Ctrl-C that reaches what they start."""

import signal

import memory


def pytest_configure() -> None:
    memory.begin()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # inherited from a shell that starts things in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    memory.end()
