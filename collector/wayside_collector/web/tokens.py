"""Bearer tokens: the file they stand in, who shows one, and the cookie that stands for one in a browser.

The file holds a line `reader TOKEN` or `writer TOKEN` for each token, blank lines and lines that begin with `#` aside;
a token on two lines has both roles. What stands there now is what counts: a file that is replaced, emptied or gone is
taken so within LOOK_INTERVAL, and of a broken one the good lines. No text made here holds a token.

The cookie is `<when it ends>.<HMAC of that, keyed with the token>`: it outlives the collector, ends with its token,
and does not tell it.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from .roles import Role

MAX_FILE = 64 << 10  #: bytes of the file: some hundred tokens
MAX_TOKENS = 256  #: each is compared with what is shown: 256 take 0.2 ms
MIN_TOKEN = 16  #: characters; what is shorter can be guessed. `openssl rand -hex 24` makes a good one
MAX_TOKEN = 512
LOOK_INTERVAL = 1.0  #: seconds between two looks at the file
COOKIE_LIFE = 12 * 3600  #: seconds a browser stays logged in: a working day

_ROLES = {"reader": Role.READER, "writer": Role.WRITER}

log = logging.getLogger(__name__)


def parse_tokens(text: str) -> tuple[dict[str, Role], list[str]]:
    """Tokens and their roles, and what is wrong in which line."""
    tokens: dict[str, Role] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in _ROLES:
            problems.append(f"line {number} is not `reader TOKEN` or `writer TOKEN`")
        elif not words[1].isascii() or not words[1].isprintable() or not MIN_TOKEN <= len(words[1]) <= MAX_TOKEN:
            problems.append(f"line {number}: a token is {MIN_TOKEN} to {MAX_TOKEN} plain characters")
        elif len(tokens) >= MAX_TOKENS:
            problems.append(f"line {number}: more than {MAX_TOKENS} tokens; it and what follows is not read")
            break
        else:
            tokens[words[1]] = tokens.get(words[1], Role.NONE) | _ROLES[words[0]]
    return tokens, problems


class Tokens:
    """The tokens of a file; None for no file, and then no token is good. Blocks on the file, for moments."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._tokens: dict[str, Role] = {}
        self._looked: float | None = None
        self._text: str | None = ""
        self.problems: list[str] = []

    def role(self, token: str) -> Role:
        """What whoever shows this token may do. Takes the same time for every token that is not the right one."""
        shown = _digest(token)
        role = Role.NONE
        for known, its in self._look().items():
            if hmac.compare_digest(_digest(known), shown):
                role |= its
        return role

    def cookie(self, token: str, now: float) -> str:
        """What a browser shows instead of this token, until COOKIE_LIFE after `now` (Unix time)."""
        ends = int(now) + COOKIE_LIFE
        return f"{ends}.{_sign(token, ends)}"

    def cookie_role(self, cookie: str, now: float) -> Role:
        """What whoever shows this cookie may do."""
        ends, _, signature = cookie.partition(".")
        # int() alone would take spaces, signs and other scripts' digits, and thousands of them.
        if not (ends.isascii() and ends.isdigit() and len(ends) < 15 and signature.isascii()):
            return Role.NONE
        if not now < int(ends) <= now + COOKIE_LIFE + 1:
            return Role.NONE
        role = Role.NONE
        for known, its in self._look().items():
            if hmac.compare_digest(_sign(known, int(ends)), signature):
                role |= its
        return role

    def _look(self) -> dict[str, Role]:
        now = self._clock()
        if self._path is None or (self._looked is not None and now < self._looked + LOOK_INTERVAL):
            return self._tokens
        self._looked = now
        text, problem = _read(self._path)
        if text != self._text:
            self._text = text
            self._tokens, found = parse_tokens(text or "")
            self.problems = [problem] if problem else found
            for each in self.problems:
                log.warning("public.token_file: %s: %s", self._path, each)
        return self._tokens


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
