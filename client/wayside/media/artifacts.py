"""Artifacts: named collections of files (a checkpoint, a data set), by path. The collector links or uploads them where
it sees their paths, and keeps what they are called where it does not; where it is cheap the client keeps them for it as
they were when the artifact was logged (`staging.keep`).

What a script writes through `new_file` and `add` is ours: it lies in the media folder, and goes with the event.
"""

import contextlib
import hashlib
import os
import re
from typing import IO, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from ..keyvalues import plain
from ..masking import clean_url
from ..told import told_once
from ..values import text_of
from .medium import READ_AT_ONCE, Medium
from .staging import new_folder, write_medium
from .unsent import Unsent

MAX_FILES = 10_000  #: of an artifact, and references of it: a sharded checkpoint has hundreds
MAX_METADATA = 100  #: keys, as W&B takes them
MAX_NAME = 128  #: characters of a name, as W&B takes them

_NAME = re.compile(r"[-\w.]+")


class Entry(NamedTuple):
    """A file or reference of an artifact. path: its name there; local_path: where it lies; owned: we wrote it."""

    path: str
    local_path: Optional[str]
    size: int = 0
    mtime: float = 0.0
    ref: Optional[str] = None
    owned: bool = False

    @property
    def name(self) -> str:
        return self.path

    def download(self, *args: Any, **named: Any) -> Optional[str]:
        """Where the file lies; nothing is fetched."""
        return self.local_path


class Manifest(NamedTuple):
    """The list of an artifact's files and references; entries: by name there."""

    entries: Dict[str, Entry]


class Artifact(Unsent):
    """A named, typed collection of files (`wandb.Artifact`). Files added later under a name replace earlier ones.

    incremental, storage_region and digest_algorithm are accepted; versions are numbered by W&B when it has the files.
    """

    def __init__(  # noqa: PLR0913 -- wandb's own arguments
        self,
        name: str,
        type: str,
        description: Optional[str] = None,
        metadata: Optional[Dict[str, Any]] = None,
        incremental: bool = False,
        use_as: Optional[str] = None,
        storage_region: Optional[str] = None,
        digest_algorithm: str = "MD5",
    ) -> None:
        """Raises ValueError for a name, type or metadata that W&B would refuse."""
        if not _NAME.fullmatch(name):
            allowed = "alphanumeric characters, dashes, underscores, and dots"
            raise ValueError(f"Artifact name may only contain {allowed}. Invalid name: {name!r}")
        if len(name) > MAX_NAME:
            raise ValueError(f"Artifact name is longer than {MAX_NAME} characters: {name!r}")
        if type == "job" or type.startswith("wandb-"):
            raise ValueError(f"Artifact type {type!r} is reserved for internal use. Please use a different type.")
        self.name = name
        self.type = type
        self.description = description
        self.metadata = metadata or {}
        self.aliases: List[str] = []
        self.tags: List[str] = []
        self.use_as = use_as
        self.incremental = incremental
        self.digest_algorithm = digest_algorithm
        self.left_out = 0  # files beyond MAX_FILES
        self._entries: Dict[str, Entry] = {}
        self._folder: Optional[str] = None  # of what we wrote

    @property
    def metadata(self) -> Dict[str, Any]:
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: Dict[str, Any]) -> None:
        if len(metadata) > MAX_METADATA:
            raise ValueError(f"Artifact must not have more than {MAX_METADATA} metadata keys.")
        self._metadata = dict(metadata)

    @property
    def version(self) -> str:
        """Not known here: W&B numbers versions when it has the files."""
        return "latest"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self._entries.values())

    @property
    def file_count(self) -> int:
        return len(self._entries)

    @property
    def manifest(self) -> "Manifest":
        """What is in it, by name there."""
        return Manifest(dict(self._entries))

    def files(self, names: Optional[List[str]] = None, per_page: int = 50, start: Optional[str] = None) -> List[Entry]:
        """What has been added, or those of these names."""
        return [entry for entry in self._entries.values() if names is None or entry.path in names]

    # --- adding --------------------------------------------------------------------------------------------------

    def add_file(
        self,
        local_path: str,
        name: Optional[str] = None,
        is_tmp: Optional[bool] = False,
        skip_cache: Optional[bool] = False,
        policy: Optional[str] = "mutable",
        overwrite: bool = False,
    ) -> Entry:
        """Add a file under its own name, or another. What it is when the artifact is logged is what is to be kept.
        Raises ValueError when it is no file.
        """
        path = os.fspath(local_path)
        if not os.path.isfile(path):
            raise ValueError(f"Path is not a file: {path}")
        return self._add_path(_clean(name or os.path.basename(path)), path)

    def add_dir(
        self,
        local_path: str,
        name: Optional[str] = None,
        skip_cache: Optional[bool] = False,
        policy: Optional[str] = "mutable",
        merge: bool = False,
    ) -> None:
        """Add all files below a folder, at most MAX_FILES. Raises ValueError when it is no folder."""
        root = os.fspath(local_path)
        if not os.path.isdir(root):
            raise ValueError(f"Path is not a directory: {root}")
        for folder, folders, files in os.walk(root):
            folders.sort()
            for file in sorted(files):
                path = os.path.join(folder, file)
                if os.path.isfile(path):
                    try:
                        self._add_path(_clean(os.path.join(name or "", os.path.relpath(path, root))), path)
                    except OSError:  # checkpoints rotate
                        self.left_out += 1

    def add_reference(
        self, uri: Any, name: Optional[str] = None, checksum: bool = True, max_objects: Optional[int] = None
    ) -> Sequence[Entry]:
        """Add an address (s3://, gs://, https://, file://): it alone is kept, nothing there is read."""
        address = text_of(getattr(uri, "ref", None) or uri)
        if "://" not in address:
            raise ValueError(f"References must be URIs. To reference a local file, use file:// (got {address!r})")
        address = clean_url(address)  # a presigned address is a key
        entry = Entry(_clean(name or address.rstrip("/").rpartition("/")[2]), None, ref=address)
        return [self._put(entry)]

    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: Optional[str] = None, policy: str = "mutable"
    ) -> Iterator[IO[Any]]:
        """A new file of the artifact, open for writing. Raises ValueError when there is one of that name."""
        clean = _clean(name)
        path = os.path.join(self._own_folder(), clean)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, mode.replace("w", "x"), encoding=encoding) as file:
                yield file
        except FileExistsError:
            raise ValueError(f"File with name {name!r} already exists at {path!r}") from None
        self._add_path(clean, path, owned=True)

    def add(self, obj: Any, name: Any, overwrite: bool = False) -> Entry:
        """Add a medium (a Table, an Image …) as a file of this name with its ending: `name.table.json`, `name.png`."""
        if not isinstance(obj, Medium):
            raise ValueError(f"Found object of type {type(obj).__name__}, expected one of Image, Table, Histogram, …")
        path = write_medium(obj, self._own_folder(), _clean(os.fspath(name)))
        return self._add_path(os.path.relpath(path, self._own_folder()), path, owned=True)

    def remove(self, item: Any) -> None:
        """Take a file out again."""
        path = item.path if isinstance(item, Entry) else _clean(os.fspath(item))
        gone = [name for name in self._entries if name == path or name.startswith(path + "/")]
        if not gone:
            raise FileNotFoundError(f"No such file or directory: {path}")
        for name in gone:
            del self._entries[name]

    def get_entry(self, name: Any) -> Entry:
        """What was added under a name; raises KeyError."""
        try:
            return self._entries[_clean(os.fspath(name))]
        except KeyError:
            raise KeyError(f"Path not contained in artifact: {name}") from None

    get_path = get_entry

    def get_added_local_path_name(self, local_path: str) -> Optional[str]:
        """The name under which a file was added, or None."""
        wanted = os.path.abspath(local_path)
        return next((entry.path for entry in self._entries.values() if entry.local_path == wanted), None)

    def __setitem__(self, name: str, item: Any) -> None:
        self.add(item, name)

    # --- after it was logged -------------------------------------------------------------------------------------

    def wait(self, timeout: Optional[int] = None) -> "Artifact":
        """Returns at once: the collector uploads beside the training."""
        return self

    def save(self, project: Optional[str] = None, settings: Any = None) -> None:
        """Not kept: a run logs it, with `log_artifact`."""
        told_once("Artifact.save", "Artifact.save() has no effect: log it with run.log_artifact(artifact)")

    def finalize(self) -> None:
        """Accepted: it may be added to until it is logged."""

    def is_draft(self) -> bool:
        return True

    # --- for the run ---------------------------------------------------------------------------------------------

    def _said(self) -> Dict[str, Any]:
        """What its event says in words."""
        said = {"name": self.name, "type": self.type, "aliases": self.aliases, "metadata": plain(self._metadata)}
        extra = {"description": self.description, "tags": self.tags, "use_as": self.use_as}
        return {**said, **{key: plain(value) for key, value in extra.items() if value}}

    def _exact(self, kept: Mapping[str, str]) -> Dict[str, Any]:
        """What its event says of files, as it is. kept: by name, under which name in the session's folder."""
        entries = list(self._entries.values())
        references = [{"name": entry.path, "uri": entry.ref} for entry in entries if entry.ref is not None]
        files = [_file(entry, kept.get(entry.path)) for entry in entries if entry.ref is None]
        return {"upload": True, "files": files, "references": references, "left_out": self.left_out}

    def _own_folder(self) -> str:
        if self._folder is None:
            self._folder = new_folder()
        return self._folder

    def _add_path(self, name: str, path: str, owned: bool = False) -> Entry:
        found = os.stat(path)
        return self._put(Entry(name, os.path.abspath(path), found.st_size, found.st_mtime, None, owned))

    def _put(self, entry: Entry) -> Entry:
        if len(self._entries) < MAX_FILES or entry.path in self._entries:
            self._entries[entry.path] = entry
        else:
            self.left_out += 1
        return entry


def _clean(name: str) -> str:
    """A name within the artifact, with "/" between its parts; raises ValueError for one that leads out of it."""
    parts = [part for part in name.replace(os.sep, "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ValueError(f"{name!r} is no name within an artifact")
    return "/".join(parts)


def _file(entry: Entry, kept: Optional[str]) -> Dict[str, Any]:
    said = {"path": entry.path, "source": entry.local_path, "size": entry.size, "mtime": entry.mtime}
    if kept is not None:
        said["kept"] = kept
    if entry.owned:
        said["owned"] = True
        if entry.size <= READ_AT_ONCE and entry.local_path is not None:
            # It is gone where the artifact was logged before, and the collector has taken it.
            with contextlib.suppress(OSError), open(entry.local_path, "rb") as file:
                said["sha256"] = hashlib.sha256(file.read()).hexdigest()
    return said
