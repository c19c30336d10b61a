"""What all tests share: a place in memory that goes with them, and a Ctrl-C that reaches what they start."""

import signal

import memory


def pytest_configure() -> None:
    memory.begin()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell starts in the background: it is inherited
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    memory.end()
