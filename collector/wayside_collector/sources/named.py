"""Journals that a client names in its hello: which of them may be read, and can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..configuration.access import ClientsSection
from .confined import allowed
from .segments import any_segment


def more_roots(clients: ClientsSection) -> list[Path]:
    """Roots that the operator names. Blocks on the file system."""
    return [Path(path).expanduser().resolve() for path in clients.journals]


class Found(NamedTuple):
    """folders: where a session's journal can be read; empty when it cannot, and `reason` says why. whole: whether that
    is all of it also when the client begins to keep some of it elsewhere.
    """

    folders: list[Path]
    reason: str = ""
    whole: bool = True


class NamedJournals:
    """beside: the socket's folder, which a client may see elsewhere. roots: where journals may lie."""

    def __init__(self, beside: Path, roots: list[Path]) -> None:
        self._beside = beside.resolve()
        self._roots = [*dict.fromkeys(roots)]

    def find(self, record: dict[str, Any], owner: int) -> Found:
        """The journal of the session with this record. owner: the client's user. Blocks on the file system.

        The session's id, 128 random bits, stands in each of its segments: reading it back through a path proves that
        both sides mean the same folder, whatever is mounted where. What the client keeps in another folder belongs to
        it: a client that keeps something we cannot read must send it all.
        """
        journal = record.get("journal")
        if not isinstance(journal, dict):
            return Found([], "the client sends its frames")
        id = str(record.get("session"))
        reasons = []
        for path in self._asked(journal):
            try:
                allowed(path, id, self._roots, owner)
            except (OSError, ValueError) as problem:
                reasons.append(f"{str(path)!r:.200}: {_words(problem)}")
                continue
            if _holds_session(path):
                return self._with_kept(path, journal, id, owner)
            reasons.append(f"{path} holds nothing of this session")
        return Found([], f"its journal cannot be read: {'; '.join(reasons)}"[:1000])

    def _asked(self, journal: dict[str, Any]) -> list[Path]:
        asked = [Path(journal["path"])] if isinstance(journal.get("path"), str) else []
        relative = journal.get("relative")
        if isinstance(relative, str) and not relative.startswith(("/", "..")):
            asked.append(self._beside / relative)
        return asked

    def _with_kept(self, path: Path, journal: dict[str, Any], id: str, owner: int) -> Found:
        if not isinstance(journal.get("kept"), str):
            return Found([path])
        kept = Path(journal["kept"])
        keeps = journal.get("keeps") is not False
        try:
            allowed(kept, id, self._roots, owner)
        except FileNotFoundError as problem:
            return _cannot_see(problem) if keeps else Found([path, kept])
        except (OSError, ValueError) as problem:
            return _cannot_see(problem) if keeps else Found([path], whole=False)
        return Found([path, kept])


def _cannot_see(problem: Exception) -> Found:
    return Found([], f"what it keeps on disk cannot be read: {_words(problem)}"[:1000])


def _words(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def still_readable(paths: Sequence[str], roots: list[Path]) -> list[Path]:
    """A session's folders, as they were named before a restart, where they may be read now; empty when there is
    nothing left to read.
    """
    found, there = [], False
    for path in map(Path, paths):
        try:
            allowed(path, path.name, roots, None)
            there = True
        except FileNotFoundError:
            pass  # where the client may yet keep something
        except (OSError, ValueError):
            continue
        found.append(path)
    return found if there else []


def _holds_session(folder: Path) -> bool:
    try:
        found = any_segment(folder)
    except OSError:
        return False
    if found is not None:
        found.close()
    return found is not None
