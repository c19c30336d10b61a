"""With which code a process ends, as the run's finish tells it."""

import subprocess
import sys
from typing import Any

import pytest
from wayside.exits import code_of, exit_number

SCRIPT = """
import sys, threading
from wayside import exits
import atexit
exits.watch()
exits.watch()
atexit.register(lambda: sys.stdout.write(f"code {{exits.code()}}\\n"))
def work():
    {0}
work()
"""


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("sys.exit()", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('what went wrong')", 1),
        ("sys.exit(True)", 1),
        ("raise ValueError('x')", 1),
        ("raise KeyboardInterrupt", 130),
        ("thread = threading.Thread(target=sys.exit, args=(5,)); thread.start(); thread.join()", 0),
    ],
)
def test_the_code_at_exit_is_the_processs_own(ending: str, code: int) -> None:
    """However the script ends, what is known at exit is what the parent sees."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT.format(ending)], capture_output=True, text=True)
    assert ended.stdout == f"code {code}\n"
    assert ended.returncode in (code, -2)  # SIGINT again, after an interrupt


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (None, 0),
        (SystemExit(), 0),
        (SystemExit(None), 0),
        (SystemExit(4), 4),
        (SystemExit("text"), 1),
        (KeyboardInterrupt(), 130),
        (ValueError(), 1),
        (GeneratorExit(), 1),
    ],
)
def test_exceptions_have_codes(problem: BaseException | None, code: int) -> None:
    """The same as the interpreter gives them."""
    assert code_of(problem) == code


@pytest.mark.parametrize(("status", "code"), [(None, 0), (0, 0), (7, 7), (-1, -1), (True, 1), ("x", 1), (object(), 1)])
def test_a_status_is_a_number(status: Any, code: int) -> None:
    """As `sys.exit` takes it."""
    assert exit_number(status) == code
