"""A `file_stream` request of the SDK: what it carries, and how it is taken apart. Pure: bytes in, bytes out.

The body is `{"files": {"wandb-history.jsonl": {"offset": k, "content": [line, …]}, …}, "complete": true, "exitcode":
0, …}`; offsets are line numbers, so what is sent again overwrites itself. Lines are JSON in which NaN and Infinity
stand bare. W&B answers a request as a whole: to find the one line it refuses, the request is cut into pieces, and that
line's place is taken by a blank one, since the lines after it keep their numbers.
"""

import json
from typing import Any, NamedTuple

import msgspec

HISTORY, EVENTS, SUMMARY = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json"
_BLANK_KEYS = ("_step", "_timestamp", "_runtime", "_wandb")


class Chunk(NamedTuple):
    """The lines of one file in a request, from line number `offset` on."""

    offset: int
    content: list[str]


class Post:
    """One request, as the SDK made it or a piece of one."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        files = self.value.get("files")
        return files if isinstance(files, dict) else {}

    @property
    def completes(self) -> bool:
        """Whether it ends the run."""
        return bool(self.value.get("complete"))

    def chunk(self, name: str) -> Chunk | None:
        """The lines of this file; None when there are none."""
        file = self.files.get(name)
        if not isinstance(file, dict) or not isinstance(file.get("content"), list) or not file["content"]:
            return None
        offset = file.get("offset")
        return Chunk(offset if isinstance(offset, int) else 0, file["content"])

    def encode(self) -> bytes:
        return msgspec.json.encode(self.value)

    def without_end(self) -> "Post":
        """The same, but the run goes on."""
        return Post({k: v for k, v in self.value.items() if k not in ("complete", "exitcode")})

    def blank_out(self, name: str, lines: set[int]) -> bool:
        """Replace the lines of these numbers by blank ones; whether there were any."""
        chunk = self.chunk(name) if lines else None
        if chunk is None:
            return False
        places = [number - chunk.offset for number in lines if 0 <= number - chunk.offset < len(chunk.content)]
        for place in places:
            chunk.content[place] = blank_line(chunk.content[place])
        return bool(places)

    def pieces(self) -> list["Post"]:
        """Two or more requests that say the same together, in order; what is beside the files goes with the last.
        Empty when it cannot be cut any more.
        """
        files = [(name, chunk) for name in self.files if (chunk := self.chunk(name)) is not None]
        beside = {k: v for k, v in self.value.items() if k != "files"}
        if len(files) > 1 or (files and beside):
            found = [_post(name, chunk) for name, chunk in files]
            return [*found, Post({**beside, "files": {}})] if beside else found
        if not files or len(files[0][1].content) < 2:
            return []
        name, (offset, content) = files[0]
        half = len(content) // 2
        return [_post(name, Chunk(offset, content[:half])), _post(name, Chunk(offset + half, content[half:]))]

    def blank(self) -> "Post | None":
        """A request of a single line, with a line in its place that holds nothing but its step and time; None when
        this is no such request.
        """
        for name in (HISTORY, EVENTS):
            chunk = self.chunk(name)
            if chunk is not None and len(chunk.content) == 1:
                return _post(name, Chunk(chunk.offset, [blank_line(chunk.content[0])]))
        return None


def read(body: bytes) -> Post:
    """Raises ValueError when it is no JSON object."""
    value = msgspec.json.decode(body) if body.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("a file_stream request must be a JSON object")
    return Post(value)


def read_line(line: str) -> dict[str, Any]:
    """A line of history, events or summary; empty when it cannot be read."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def blank_line(line: str) -> str:
    """A line that holds nothing but this one's step and time."""
    value = read_line(line)
    return json.dumps({key: value[key] for key in _BLANK_KEYS if key in value})


def step_of(line: str) -> int | None:
    """The `_step` of a line."""
    step = read_line(line).get("_step")
    return int(step) if isinstance(step, int | float) else None


def _post(name: str, chunk: Chunk) -> Post:
    return Post({"files": {name: {"offset": chunk.offset, "content": chunk.content}}})
