"""Bearer tokens: the file they stand in, who shows one, and the cookie that stands for one in a browser.

The file holds a line `reader TOKEN` or `writer TOKEN` for each token, blank lines and lines that begin with `#` aside;
a token on two lines has both roles, and with `namespace=NAME` after it, it is for that namespace's runs alone. What
stands there now is what counts: a file that is replaced, emptied or gone is taken so within LOOK_INTERVAL, and of a
broken one the good lines. No text made here holds a token.

The cookie is `<when it ends>.<HMAC of that, keyed with the token>`: it outlives the collector, ends with its token,
and does not tell it.
"""

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .roles import Role

MAX_FILE = 64 << 10  #: bytes of the file: some hundred tokens
MAX_TOKENS = 256  #: each is compared with what is shown: 256 take 0.2 ms
MIN_TOKEN = 16  #: characters; what is shorter can be guessed. `openssl rand -hex 24` makes a good one
MAX_TOKEN = 512
LOOK_INTERVAL = 1.0  #: seconds between two looks at the file
COOKIE_LIFE = 12 * 3600  #: seconds a browser stays logged in: a working day

_ROLES = {"reader": Role.READER, "writer": Role.WRITER}
_NAMESPACE = re.compile("namespace=([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)")  # as Kubernetes names them: no dots

log = logging.getLogger(__name__)


class Grant(NamedTuple):
    """What a token is good for. namespace: whose runs alone; None for all."""

    role: Role = Role.NONE
    namespace: str | None = None


NOTHING = Grant()


def parse_tokens(text: str) -> tuple[dict[str, Grant], list[str]]:
    """Tokens and what they are good for, and what is wrong in which line."""
    tokens: dict[str, Grant] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        problem = _problem(words, tokens)
        if problem is not None:
            problems.append(f"line {number}{problem}")
        elif len(tokens) >= MAX_TOKENS:
            problems.append(f"line {number}: more than {MAX_TOKENS} tokens; it and what follows is not read")
            break
        else:
            before = tokens.get(words[1], NOTHING)
            tokens[words[1]] = Grant(before.role | _ROLES[words[0]], _namespace(words))
    return tokens, problems


def _problem(words: list[str], tokens: dict[str, Grant]) -> str | None:
    """What is wrong with a line."""
    if (
        len(words) not in (2, 3)
        or words[0] not in _ROLES
        or (len(words) == 3 and not words[2].startswith("namespace="))
    ):
        return " is not `reader TOKEN` or `writer TOKEN`, with or without `namespace=NAME` after it"
    if not words[1].isascii() or not words[1].isprintable() or not MIN_TOKEN <= len(words[1]) <= MAX_TOKEN:
        return f": a token is {MIN_TOKEN} to {MAX_TOKEN} plain characters"
    if len(words) == 3 and not _NAMESPACE.fullmatch(words[2]):
        return ": a namespace is lower-case letters, digits and `-`, at most 63"
    if words[1] in tokens and tokens[words[1]].namespace != _namespace(words):
        return ": the token has another namespace in a line above"
    return None


def _namespace(words: list[str]) -> str | None:
    return words[2].partition("=")[2] if len(words) == 3 else None


class Tokens:
    """The tokens of a file; None for no file, and then no token is good. Blocks on the file, for moments."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._tokens: dict[str, Grant] = {}
        self._looked: float | None = None
        self._text: str | None = None
        self._taken = False
        self.problems: list[str] = []

    def grant(self, token: str) -> Grant:
        """What whoever shows this token may do. Takes the same time for every token that is not the right one."""
        shown = _digest(token)
        found = NOTHING
        for known, its in self._look().items():
            if hmac.compare_digest(_digest(known), shown):
                found = its
        return found

    def cookie(self, token: str, now: float) -> str:
        """What a browser shows instead of this token, until COOKIE_LIFE after `now` (Unix time)."""
        ends = int(now) + COOKIE_LIFE
        return f"{ends}.{_sign(token, ends)}"

    def cookie_grant(self, cookie: str, now: float) -> Grant:
        """What whoever shows this cookie may do."""
        ends, _, signature = cookie.partition(".")
        # int() alone would take spaces, signs and other scripts' digits, and thousands of them.
        if not (ends.isascii() and ends.isdigit() and len(ends) < 15 and signature.isascii()):
            return NOTHING
        if not now < int(ends) <= now + COOKIE_LIFE + 1:
            return NOTHING
        found = NOTHING
        for known, its in self._look().items():
            if hmac.compare_digest(_sign(known, int(ends)), signature):
                found = its
        return found

    def look(self) -> None:
        """Take the file as it is, and say in the log what is wrong with it: nobody may come for days who shows one."""
        self._look()

    def _look(self) -> dict[str, Grant]:
        now = self._clock()
        if self._path is None or (self._looked is not None and now < self._looked + LOOK_INTERVAL):
            return self._tokens
        self._looked = now
        text, problem = _read(self._path)
        if text != self._text or not self._taken:
            self._text, self._taken = text, True
            self._tokens, self.problems = _take(text, problem)
            for each in self.problems:
                log.warning("public.token_file: %s: %s", self._path, each)
        return self._tokens


def file_problems(path: Path) -> list[str]:
    """What is wrong with a file of tokens, each text beginning with the option's name."""
    return [f"public.token_file: {path}: {each}" for each in _take(*_read(path))[1]]


def _take(text: str | None, problem: str) -> tuple[dict[str, Grant], list[str]]:
    """The tokens of what was read, and what is wrong with it."""
    tokens, problems = parse_tokens(text or "")
    if problem:
        return tokens, [problem]
    return tokens, problems if tokens else [*problems, "no line holds a good token: no token is accepted"]


def _read(path: Path) -> tuple[str | None, str]:
    """The file's text, or None and what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as problem:
        return None, f"{problem.strerror}: no token is accepted"
    if len(data) > MAX_FILE:
        return None, f"longer than {MAX_FILE} bytes: no token is accepted"
    return data.decode("utf-8", "replace"), ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sign(token: str, ends: int) -> str:
    return hmac.new(token.encode(), f"wayside cookie {ends}".encode(), "sha256").hexdigest()
