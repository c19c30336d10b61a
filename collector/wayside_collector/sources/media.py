"""Taking the files that events name: a client's pictures from its media folder, people's own files below roots.

A client's media folder is `<root>/media/<session id>`, with the roots of journals (`confined.py`). A file of it becomes
the spool's by a second name where one file system holds both, by a copy elsewhere; the client's name of it goes when
the event is stored, so that no crash in between loses it. Of an artifact's files, which nobody but the user owns, a
second name is kept until every sink has them: checkpoints rotate.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

from wayside.row import MEDIA, Event

from ..intake.claims import Taken
from ..intake.inlet import Inlet
from ..media_events import files_of, objects
from ..media_folder import MediaFile, MediaFolder
from ..session import Session
from .confined import MEDIA_FOLDER, allowed, journal_folder, open_below, open_plain
from .logged_files import is_changed, tell_files

MAX_FILE = 32 << 20  #: bytes of one file: a video of a minute; larger ones go as artifacts
MAX_RUN = 1 << 30  #: bytes of one run's files that wait for sinks
_NAME = re.compile(r"([0-9a-f]{32})/([0-9]{1,12}\.[a-z0-9]{1,8})")


class MediaSource:
    """beside: the socket's folder, which a client may see elsewhere. roots: where media folders may lie. files: folders
    below which people's own files may be read.
    """

    def __init__(self, media: MediaFolder, beside: Path, roots: Sequence[Path], files: Sequence[Path]) -> None:
        self._media = media
        self._beside = beside
        self._roots = list(roots)
        self._files = list(files)

    def take(self, inlet: Inlet, events: Sequence[Event], held: int) -> list[Taken]:
        found = []
        for event in events:
            taking = _Taking(self._media, f"{inlet.known.session.id}/{event.seq}-", MAX_RUN - held)
            if event.kind == MEDIA:
                self._take_media(inlet, event, taking)
            else:
                self._take_files(inlet, event, taking)
                tell_files(inlet.known.session.run.id, event)
            held += sum(file.size for file in taking.files if not file.linked)
            inlet.counters.media_files += len(taking.files)
            inlet.counters.media_lost += taking.lost
            found.append(Taken(event, tuple(taking.files), tuple(taking.sources)))
        return found

    def _take_media(self, inlet: Inlet, event: Event, taking: "_Taking") -> None:
        wanted = [one for one in objects(event.data) if "file" in one]
        with contextlib.ExitStack() as opened:
            try:
                folder = opened.enter_context(journal_folder(self._folder(inlet)))
            except (OSError, ValueError) as problem:
                for one in wanted:
                    taking.lose(one, f"its folder cannot be read: {_words(problem)}")
                return
            for one in wanted:
                match = _NAME.fullmatch(str(one["file"]))
                if match is None or match[1] != inlet.client_id:
                    taking.lose(one, "it names no file of its session")
                else:
                    taking.take(one, folder, match[2])

    def _folder(self, inlet: Inlet) -> Path:
        """The session's media folder. Raises OSError or ValueError where there is none that may be read."""
        session = inlet.known.session
        if _is_from_elsewhere(session):
            raise PermissionError("what comes by a gateway or a request names no files of this machine")
        asked = [Path(session.media_root)] if session.media_root else []
        if session.media_place and not session.media_place.startswith(("/", "..")):
            asked.append(self._beside / session.media_place)
        problem: OSError | ValueError = FileNotFoundError("the client named none")
        for root in asked:
            folder = root / inlet.client_id
            # without a collector media stay beside the socket that was looked for, wherever their journal went since:
            # a found journal may name a folder of whom it belongs to itself
            roots = [*self._roots, root.parent] if inlet.sender.adopted else self._roots
            try:
                allowed(folder, inlet.client_id, roots, inlet.sender.uid, MEDIA_FOLDER)
            except (OSError, ValueError) as found:
                problem = found
                continue
            return folder
        raise problem

    def _take_files(self, inlet: Inlet, event: Event, taking: "_Taking") -> None:
        """What of an artifact's files may be read is linked, or copied where it is small; what a client of our own user
        names elsewhere is read where it lies.
        """
        event.data.pop("seen", None)
        entries = files_of(event.data)
        for one in entries:
            one.pop("held", None)
        self._take_owned(inlet, [one for one in entries if one.get("owned") is True], taking)
        if not _is_from_elsewhere(inlet.known.session):
            self._take_kept(inlet, entries, taking)
        known = inlet.sender.trusted or (self._files and not _is_from_elsewhere(inlet.known.session))
        if event.data.get("upload") is False or not known:
            return taking.sync(inlet.known.session.id)
        event.data["seen"] = True
        for one in entries:
            if one.get("owned") is True or "held" in one:
                continue
            source = one.get("source")
            if not isinstance(source, str) or "\0" in source or not os.path.isabs(source):
                taking.lose(one, "it names no file")
                continue
            root = self._root_of(source)
            if root is None and not inlet.sender.trusted:
                taking.lose(one, "it lies below none of the collector's clients.files")
                continue
            taking.hold(one, root or Path("/"), source, trusted=inlet.sender.trusted)
        return taking.sync(inlet.known.session.id)

    def _take_owned(self, inlet: Inlet, entries: list[dict[str, Any]], taking: "_Taking") -> None:
        """Files of an artifact that its client made: below its media folder, and ours once they are stored."""
        for one in entries:
            below = str(one.get("source")).partition(f"/{inlet.client_id}/")[2]
            try:
                folder = self._folder(inlet)
                with journal_folder(folder) as opened:
                    owner = os.fstat(opened).st_uid
                taking.hold(one, folder, str(folder / below), owner=owner)
            except (OSError, ValueError) as problem:
                taking.lose(one, f"its folder cannot be read: {_words(problem)}")
            taking.sources.append(below)

    def _take_kept(self, inlet: Inlet, entries: list[dict[str, Any]], taking: "_Taking") -> None:
        """A user's files that the client has kept as they were when they were logged; what cannot be had of them so is
        looked for where it lay.
        """
        for one in entries:
            kept = one.pop("kept", None)
            if not isinstance(kept, str) or one.get("owned") is True:
                continue
            tried, lost = dict(one, source=f"/{inlet.client_id}/{kept}"), taking.lost
            self._take_owned(inlet, [tried], taking)
            taking.lost = lost
            if "held" in tried:
                one.update(tried, source=one.get("source"))

    def _root_of(self, source: str) -> Path | None:
        return next((root for root in self._files if Path(source).is_relative_to(root)), None)

    def let_go(self, inlet: Inlet, sources: Sequence[str]) -> None:
        """Unlink a client's own names of files; one that we may not is the client's to unlink."""
        with contextlib.suppress(OSError, ValueError), journal_folder(self._folder(inlet)) as folder:
            for name in sources:
                with contextlib.suppress(OSError):
                    _unlink(folder, name)

    def buried(self, inlet: Inlet) -> None:
        """What a dead client left that no event names: written, and killed before it could say so."""
        with contextlib.suppress(OSError, ValueError), journal_folder(self._folder(inlet)) as folder:
            for name in os.listdir(folder):
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    shutil.rmtree(name, dir_fd=folder, ignore_errors=True)
                else:
                    os.unlink(name, dir_fd=folder)

    def ended(self, inlet: Inlet) -> None:
        """A session is over: its folder goes where nothing waits in it."""
        with contextlib.suppress(OSError, ValueError):
            os.rmdir(self._folder(inlet))


class _Taking:
    """The files of one event. prefix: what their names in the spool begin with. room: bytes the run may still hold."""

    def __init__(self, media: MediaFolder, prefix: str, room: int) -> None:
        self.files: list[MediaFile] = []
        self.sources: list[str] = []
        self.lost = 0
        self._media = media
        self._prefix = prefix
        self._room = room

    def lose(self, one: dict[str, Any], reason: str) -> None:
        one.pop("file", None)
        one["lost"] = reason[:200]
        self.lost += 1

    def take(self, one: dict[str, Any], folder: int, name: str) -> None:
        """A client's file, checked against what is said of it."""
        target = f"{self._prefix}{len(self.files)}.{name.rpartition('.')[2]}"
        try:
            with open(open_plain(folder, name), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                reason = self._refusal(one, file, size)
                if reason is not None:
                    self.lose(one, reason)
                elif not self._media.link(file.fileno(), target):
                    self._media.copy(file.fileno(), target, size)
        except OSError as problem:
            self.lose(one, f"it cannot be read: {_words(problem)}")
        if "lost" not in one:
            self.files.append(MediaFile(target, size))
            self._room -= size
            one["file"] = target
        self.sources.append(name)

    def _refusal(self, one: dict[str, Any], file: BufferedReader, size: int) -> str | None:
        if size != one.get("size"):
            return f"it has {size} bytes, not {one.get('size')!r:.20}"
        if size > MAX_FILE:
            return f"it has {size} bytes, the limit is {MAX_FILE}"
        if size > self._room:
            return f"{MAX_RUN >> 20} MiB of its run's files wait for sinks already, the limit"
        if hashlib.file_digest(file, "sha256").hexdigest() != one.get("sha256"):
            return "its checksum is another"
        return None

    def hold(
        self, one: dict[str, Any], root: Path, source: str, *, trusted: bool = False, owner: int | None = None
    ) -> None:
        """A file of the user's, by a second name. trusted: where there can be none, it is read where it lies. owner: to
        whom it must belong, where it is to be ours.
        """
        target = f"{self._prefix}{len(self.files)}"
        try:
            with open(open_below(root, source), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return self.lose(one, "it is no plain file")
                if owner is not None and found.st_uid != owner:
                    return self.lose(one, f"it belongs to user {found.st_uid}")
                if is_changed(one, found):
                    one["changed"] = True
                synced = owner is not None and found.st_size <= MAX_FILE  # of a checkpoint it would take seconds
                linked = self._media.link(file.fileno(), target, sync=synced)
                if not linked and trusted:
                    return None
                if not linked and found.st_size > min(MAX_FILE, self._room):
                    return self.lose(
                        one, "it lies on another file system than the spool, and is too large to be copied"
                    )
                if not linked:
                    self._media.copy(file.fileno(), target, found.st_size)
                    self._room -= found.st_size
        except OSError as problem:
            return self.lose(one, "vanished" if isinstance(problem, FileNotFoundError) else _words(problem))
        self.files.append(MediaFile(target, found.st_size, linked))
        one["held"], one["size"] = target, found.st_size
        return None

    def sync(self, session: str) -> None:
        if self.files:
            with contextlib.suppress(OSError):
                self._media.sync(session)


def _is_from_elsewhere(session: Session) -> bool:
    """Whether it was fed or posted to us: paths in it are of another machine, or of whoever has a writer's token."""
    return session.via is not None or bool(session.posted)


def _unlink(folder: int, name: str) -> None:
    """A file below an opened folder, and the folders between that are empty then; through no link. Raises OSError."""
    parts = Path(name).parts
    if ".." in parts or not parts or parts[0] == "/":
        return
    with contextlib.ExitStack() as opened:
        fds = [folder]
        for part in parts[:-1]:
            fds.append(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fds[-1]))
            opened.callback(os.close, fds[-1])
        os.unlink(parts[-1], dir_fd=fds[-1])
        for part, fd in zip(reversed(parts[:-1]), reversed(fds[:-1]), strict=True):
            os.rmdir(part, dir_fd=fd)


def _words(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)
