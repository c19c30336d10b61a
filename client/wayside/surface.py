"""What a run offers beside rows because scripts written for wandb ask for it: artifacts, files, watched models, and
names that have no effect here, which is said once.
"""

import os
import stat
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import row, wire
from .facts import Facts
from .sessions import Identity, Surroundings
from .told import told_once
from .values import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .media.artifacts import Artifact
    from .watching import Watch

MAX_SAVED = 10_000  #: files of one `save`
MAX_MANIFEST = 3 << 20  #: bytes of an event that lists files: it must fit a frame of 4 MiB

POLICIES = ("live", "now", "end")


class Surface(Facts):
    """The part of a run that only wandb's scripts use."""

    def __init__(self, identity: Identity, surroundings: Surroundings) -> None:
        super().__init__(identity, surroundings)
        self._watches: Tuple[Watch, ...] = ()

    # --- artifacts and files -------------------------------------------------------------------------------------

    def log_artifact(
        self,
        artifact_or_path: Any,
        name: Optional[str] = None,
        type: Optional[str] = None,
        aliases: Optional[List[str]] = None,
        tags: Optional[List[str]] = None,
    ) -> "Artifact":
        """Log an artifact, or a file or folder as one: the collector uploads it where it sees the path, else keeps what
        it is called. Returns it, at once. Raises ValueError for a path that is not there.
        """
        from .media.artifacts import Artifact

        artifact = artifact_or_path
        if not isinstance(artifact, Artifact):
            path = text_of(os.fspath(artifact)).replace("file://", "", 1)
            called = name or f"run-{self._identity.id}-{os.path.basename(path.rstrip('/'))}"
            artifact = Artifact(called, type or "unspecified")
            if os.path.isdir(path):
                artifact.add_dir(path)
            elif os.path.isfile(path):
                artifact.add_file(path)
            elif "://" in path:
                artifact.add_reference(path)
            else:
                wanted = "a file, directory or external reference like s3://bucket/path"
                raise ValueError(f"path must be {wanted}, and nothing is at {path}")
        artifact.aliases = _texts(aliases) or artifact.aliases or ["latest"]
        artifact.tags = _texts(tags) or artifact.tags
        kept = self._hand_in(artifact)
        self._tell_files(row.ARTIFACT, artifact._said(), artifact._exact(kept))
        return artifact

    def upsert_artifact(
        self, artifact_or_path: Any, name: Any = None, type: Any = None, aliases: Any = None, distributed_id: Any = None
    ) -> "Artifact":
        """As `log_artifact`: each process logs an artifact of its own."""
        return self.log_artifact(artifact_or_path, name, type, aliases)

    finish_artifact = upsert_artifact

    def _hand_in(self, artifact: "Artifact") -> Dict[str, str]:
        """What we wrote of it moves to this session's media; what is kept there of the rest."""
        journal = self._journal or self._begin_session()
        if journal is None:
            return {}
        from .media.staging import hand_in, keep

        root = self._surroundings.fields["media_root"]
        if artifact._folder is not None:
            old, artifact._folder = artifact._folder, None
            new = hand_in(old, root, journal.session)
            for name, entry in artifact._entries.items():
                if entry.owned and entry.local_path is not None:
                    path = entry.local_path.replace(old, new, 1)
                    artifact._entries[name] = entry._replace(local_path=path, owned=new != old)
        theirs = {one.path: one.local_path for one in artifact._entries.values() if not one.owned and one.local_path}
        return keep(theirs, root, journal.session)

    def use_artifact(
        self, artifact_or_name: Any, type: Optional[str] = None, aliases: Any = None, use_as: Optional[str] = None
    ) -> Any:
        """Nothing is fetched and no use is recorded: what is given back takes every call, and downloads nothing."""
        from .dropin.absent import Absent
        from .media.artifacts import Artifact

        if isinstance(artifact_or_name, Artifact):
            return artifact_or_name
        told = "this client only sends, and what is to be downloaded needs wandb's own SDK"
        told_once("use_artifact", f"use_artifact() fetches nothing: {told}")
        return Absent(text_of(artifact_or_name), type, os.path.join(self._surroundings.overflow, "artifacts"))

    def log_model(self, path: Any, name: Optional[str] = None, aliases: Optional[List[str]] = None) -> None:
        """Log a file or folder as an artifact of type "model"."""
        self.log_artifact(path, name, "model", aliases)

    def link_artifact(self, artifact: Any, target_path: str, aliases: Any = None) -> Any:
        """Accepted: the artifact is logged, and linked to nothing."""
        told_once("link", "link_artifact() and link_model() log the artifact, and link it to no registry")
        return self.log_artifact(artifact)

    def link_model(self, path: Any, registered_model_name: str, name: Optional[str] = None, aliases: Any = None) -> Any:
        """As `link_artifact`."""
        told_once("link", "link_artifact() and link_model() log the artifact, and link it to no registry")
        return self.log_artifact(path, name, "model", aliases)

    def use_model(self, name: str) -> str:
        """As `use_artifact`: an empty folder."""
        return str(self.use_artifact(name, "model").download())

    def save(self, glob_str: Any = None, base_path: Any = None, policy: str = "live", glob: bool = True) -> List[str]:
        """Files of the run itself, whose paths match: they are kept under their names below base_path. Returns their
        paths. Raises ValueError for a policy that is none of live, now and end.
        """
        import glob as globbing  # when first needed: it makes regular expressions

        if policy not in POLICIES:
            raise ValueError('Only "live", "end" and "now" policies are currently supported.')
        if glob_str is None:
            told_once("save", "save() without a path has no effect: give the files to be kept")
            return []
        pattern = text_of(os.fspath(glob_str))
        paths = sorted(globbing.glob(pattern, recursive=True)) if glob else [pattern]
        base = os.path.abspath(text_of(os.fspath(base_path)) if base_path else os.path.dirname(pattern))
        files = [found for found in (_described(path, base) for path in paths) if found is not None]
        left_out = max(0, len(files) - MAX_SAVED)
        if files:
            said = {"files": files[:MAX_SAVED], "left_out": left_out}
            self._tell_files(row.SAVE, {"policy": policy}, said)
        else:
            self.notices.tell("save", f"save({pattern!r}) matches no file: nothing is kept")
        return [file["source"] for file in files]

    def _save_own(self, folder: str) -> None:
        """What the script wrote into the run's own folder, as wandb keeps it at the end."""
        if os.path.isdir(folder) and os.listdir(folder):
            from glob import escape

            self.save(os.path.join(escape(folder), "**"), base_path=folder, policy="end")

    def _tell_files(self, kind: str, said: Dict[str, Any], exact: Dict[str, Any]) -> None:
        """An event that lists files, cut until it fits a frame."""
        while len(wire.json_frame(wire.EVENT, dict(said, **exact))) > MAX_MANIFEST and exact["files"]:
            half = len(exact["files"]) // 2
            exact = dict(exact, files=exact["files"][:half], left_out=exact["left_out"] + len(exact["files"]) - half)
        if exact["left_out"]:
            told = f"{exact['left_out']} files are beyond what one {kind} may list and are left out"
            self.notices.tell(f"{kind} left out", told)
        self._event(kind, said, exact)

    # --- models --------------------------------------------------------------------------------------------------

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: Optional[str] = "gradients",
        log_freq: int = 1000,
        idx: Optional[int] = None,
        log_graph: bool = False,
    ) -> None:
        """Norm, least, greatest and mean of each layer's gradients (and parameters), with a histogram, every `log_freq`
        backward passes, without waiting for the GPU. Raises ValueError and TypeError for what is no model of torch's.
        """
        from .watching import begin_watching

        self._watches += begin_watching(self, models, log, log_freq, idx or len(self._watches))
        if log_graph:
            told_once("log_graph", "watch(log_graph=True): the model's graph is not kept, its gradients are")

    def unwatch(self, models: Any = None) -> None:
        """Stop watching these models, or all."""
        from .watching import stop_watching

        self._watches = stop_watching(self._watches, models)

    # --- what has no effect, or little ---------------------------------------------------------------------------

    def log_code(self, root: Any = ".", name: Any = None, include_fn: Any = None, exclude_fn: Any = None) -> None:
        """Not kept: commit, branch and uncommitted changes are recorded by themselves."""
        told_once("log_code", "log_code() is not kept: commit and uncommitted changes are recorded by themselves")

    def mark_preempting(self) -> None:
        """Note in the summary that the machine is about to be taken away."""
        self._event(row.SUMMARY, {"set": {"preempting": True}, "remove": []})

    def restore(self, name: str, run_path: Any = None, replace: bool = False, root: Any = None) -> None:
        """Nothing is fetched."""
        told_once("restore", "restore() fetches nothing: this client only sends")

    def status(self) -> Any:
        """How things stand with the collector: rows and events written, and those among them not stored yet."""
        from .dropin.absent import Status

        journal, link = self._journal, self._link
        written = journal.seq if journal is not None else 0
        stored = link.handover.stored if link is not None else 0
        return Status(written, max(0, written - stored), time.time())

    def write_logs(self, text: str) -> None:
        """Not kept: a console log is the cluster's."""
        told_once("write_logs", "write_logs() is not kept: console output stays where it is printed")

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """False: nothing was shown."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """A frame with the run's page, where a collector is known."""
        url = self.get_url()
        return f'<iframe src="{url}" style="border:none;width:100%;height:{height}px;"></iframe>' if url else ""

    def pin_config_keys(self, keys: Sequence[str] = ()) -> None:
        """Accepted: it is about W&B's page."""
        told_once("pin_config_keys", "pin_config_keys() has no effect")


def _texts(given: Any) -> List[str]:
    return [text_of(one) for one in ([given] if isinstance(given, str) else given or [])]


def _described(path: str, base: str) -> Optional[Dict[str, Any]]:
    """A file as an event lists it; None for what is none, or is gone by now."""
    absolute = os.path.abspath(path)
    name = os.path.relpath(absolute, base)
    try:
        found = os.stat(absolute)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    short = os.path.basename(absolute) if name.startswith("..") else name
    return {"path": short, "source": absolute, "size": found.st_size, "mtime": found.st_mtime}
