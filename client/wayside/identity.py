"""Who this process is among the others, and which run it belongs to.

`find_place` says where the process stands: its ranks, its job, its pod. `run_id` names the run so that every rank and
every restart of one job come to the same name without a word between them. Both decide by the environment they are
given and by what `look` found, the only function here that looks at the process itself; it imports nothing but asks
what is already imported.

An anchor is what all processes of one training share and no other training has. A process that was told no rank, or
to be the only one, adds its command line to it: of the commands of one batch script each is an experiment of its own.
"""

import os
import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .jobs import cluster_job, find_workload, launched
from .launchers import Ranks, find_attempt, find_node_rank, find_ranks, in_ray, read_number
from .settings import Settings

#: What every derived run id starts from. It never changes: an upgrade would tear a restarted job's run in two.
NAMESPACE = "bb911ec5-fb81-4b9b-a5fd-068d636e4b31"
MAX_ID = 128  #: characters of a run id that W&B takes
REFUSED = "/\\#?%:,;'"  #: characters that W&B refuses in a run id

_ID_LENGTH = 10  # bytes; 16 characters of base 32, see `_short`
_ASKING = (AttributeError, TypeError, ValueError, LookupError, RuntimeError, Warning)  # what asking frameworks raises


class Pod(NamedTuple):
    """The pod, as its manifest's downward API tells."""

    name: Optional[str] = None
    uid: Optional[str] = None
    namespace: Optional[str] = None
    node: Optional[str] = None


class Here(NamedTuple):
    """What a process knows of itself beside its environment; `look` fills it in.

    argv: the command line. host: the host's name. interactive: a person sits at it. parent: a name for the parent
    process that no other process ever has. rank, world_size: as torch.distributed or Ray Train say, once they are
    initialised. trial: Ray's name for the training or the trial.
    """

    argv: Tuple[str, ...] = ()
    host: str = ""
    interactive: bool = False
    parent: Optional[str] = None
    rank: Optional[int] = None
    world_size: Optional[int] = None
    trial: Optional[str] = None


class Place(NamedTuple):
    """Where a process stands; numbers count from 0 and are None where nobody told.

    launcher: what started the process, as the nearest program that left a trace calls itself. workload: the job as
    the cluster knows it. job: scheduler and its name for the job. attempt: "outer.inner", restarts of the job and of
    the processes within it. anchor: see above; None when nothing is shared, or a person sits at the process.
    """

    rank: Optional[int] = None
    local_rank: Optional[int] = None
    node_rank: Optional[int] = None
    world_size: Optional[int] = None
    local_world_size: Optional[int] = None
    launcher: Optional[str] = None
    workload: Optional[str] = None
    job: Optional[str] = None
    attempt: str = "0.0"
    anchor: Optional[str] = None
    pod: Pod = Pod()
    host: str = ""

    def fields(self) -> Dict[str, Any]:
        """What the session record says of it, without what nobody told."""
        told = self._asdict()
        del told["anchor"]
        told["pod"] = {name: value for name, value in self.pod._asdict().items() if value is not None}
        return {name: value for name, value in told.items() if value not in (None, {}, "")}


class RunId(NamedTuple):
    """A run's id, and what to tell the user about it."""

    id: str
    problems: List[str]


def look(environ: Mapping[str, str], modules: Optional[Mapping[str, Any]] = None) -> Here:
    """What this process knows of itself, in well under a millisecond. modules: `sys.modules` when not given."""
    modules = sys.modules if modules is None else modules
    rank, world_size, trial = _ray(modules) if in_ray(environ) else (*_torch(modules), None)
    argv = tuple(str(part) for part in getattr(sys, "argv", ()))
    host = os.uname().nodename if hasattr(os, "uname") else environ.get("COMPUTERNAME", "")
    return Here(argv, host, _interactive(modules), _parent(), rank, world_size, trial)


def find_place(
    environ: Mapping[str, str],
    here: Optional[Here] = None,
    *,
    rank: Optional[int] = None,
    world_size: Optional[int] = None,
) -> Place:
    """The place of a process. here: what it knows of itself, looked up when not given. rank, world_size: when the
    caller knows better than anything in the environment.
    """
    here = look(environ) if here is None else here
    ranks = find_ranks(environ)
    told, world = (here.rank, here.world_size) if rank is None else (rank, world_size)
    if told is not None and (told, world) != (ranks.rank, ranks.world_size):
        ranks = Ranks(told, world, read_number(environ, "LOCAL_RANK"), None, ranks.launcher)
    job = cluster_job(environ, ranks)
    pod = (environ.get(name, "").strip() or None for name in ("POD_NAME", "POD_UID", "POD_NAMESPACE", "NODE_NAME"))
    return Place(
        rank=ranks.rank,
        local_rank=ranks.local_rank,
        node_rank=find_node_rank(environ),
        world_size=ranks.world_size,
        local_world_size=ranks.local_world_size,
        launcher="ray" if in_ray(environ) else ranks.launcher or (job[0] if job else None),
        workload=find_workload(environ),
        job=" ".join(job) if job else None,
        attempt=find_attempt(environ),
        anchor=_anchor(environ, here, ranks, job),
        pod=Pod(*pod),
        host=here.host,
    )


def run_id(
    explicit: Optional[str], settings: Settings, place: Place, project: Optional[str], name: Optional[str], nth: int
) -> RunId:
    """The id of the `nth` run of this process, counted from 1.

    It is `explicit` (the argument of `init`), else the one the environment asks for, else one that follows from the
    place's anchor, `project`, `name` and `nth`, else a random one. The attempt is no part of it. project and name are
    the user's words; one made up anew by each process would tear ranks apart. An id that W&B refuses is replaced by
    one that starts alike, and is a different one for each id it replaces.
    """
    for source, asked in (("init(id=)", explicit), ("the environment's run id", settings.run_id)):
        if asked is not None and str(asked):
            return _accepted(str(asked), source)
    if place.anchor is not None:
        return RunId(_short(place.anchor, project, name, nth), [])
    problems = []
    if place.rank and (place.world_size or 0) > 1:  # rank 0 alone is how most scripts log: nothing to say there
        problems.append(
            f"rank {place.rank} of {place.world_size} shares no job id with the other ranks, so its rows are a run "
            "of their own; set WAYSIDE_RUN_ID to one value for all ranks of this training"
        )
    return RunId(_base32(os.urandom(_ID_LENGTH)), problems)


def _accepted(asked: str, source: str) -> RunId:
    """An id a person chose, or what stands in for it."""
    refused = sorted({letter for letter in asked if letter in REFUSED or not letter.isprintable()})
    if refused:
        why = f"holds {' '.join(repr(letter)[1:-1] for letter in refused[:8])}, which W&B refuses in a run id"
    elif len(asked) > MAX_ID:
        why = f"is {len(asked)} characters long, more than the {MAX_ID} that W&B takes"
    elif asked != asked.strip() or not asked.strip("."):
        why = "has blanks at its ends or nothing but dots"
    else:
        return RunId(asked, [])
    start = "".join("-" if letter in refused else letter for letter in asked).strip(" .")[:64]
    stand_in = f"{start}-{_short('id', asked)}".lstrip("-")
    return RunId(
        stand_in, [f"{source} is {asked[:64]!a} and {why}: the run's id is {stand_in}; choose another to avoid this"]
    )


def _short(*key: object) -> str:
    """16 characters that follow from the key, as a version 5 UUID would, without the bits that all UUIDs share.

    80 bits tell runs apart: among a million runs of one project, two share an id with a chance of 4 in 10¹³.
    SHA-256 rather than a UUID's SHA-1, which machines in FIPS mode refuse.
    """
    import hashlib
    import json

    text = json.dumps([NAMESPACE, *key])
    return _base32(hashlib.sha256(text.encode()).digest()[:_ID_LENGTH])


def _base32(data: bytes) -> str:
    import base64

    return base64.b32encode(data).decode().lower()


def _anchor(environ: Mapping[str, str], here: Here, ranks: Ranks, job: Optional[Tuple[str, str]]) -> Optional[str]:
    if in_ray(environ):
        return f"ray {here.trial}" if here.trial else None  # its workers' command lines and job ids name nothing
    alone = ranks.world_size in (None, 1)
    if job is None or (here.interactive and (alone or ranks.world_size == ranks.local_world_size)):
        return launched(environ, ranks, here.parent)
    name = " ".join(job)
    return f"{name} {_short('command', *here.argv)}" if alone else name


def _interactive(modules: Mapping[str, Any]) -> bool:
    """Whether a person sits here: a notebook, a prompt, or a terminal other than the one a container came with."""
    if "ipykernel.kernelapp" in modules or hasattr(sys, "ps1"):
        return True
    return os.isatty(0) and (not hasattr(os, "getsid") or os.getsid(0) != 1)


def _parent() -> Optional[str]:
    """The machine's boot, the parent's process id and when it began: no two processes ever have all three alike."""
    pid = os.getppid()
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open(f"/proc/{pid}/stat", "rb") as file:
            began = file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, ValueError, IndexError):
        return None
    return f"{boot} {pid} {began}"


def _torch(modules: Mapping[str, Any]) -> Tuple[Optional[int], Optional[int]]:
    """Rank and world size of torch.distributed where it is initialised; asking costs no communication."""
    distributed = modules.get("torch.distributed")
    try:
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_rank()), int(distributed.get_world_size())
    except _ASKING:  # a module that is still being imported, or no torch at all
        return None, None
    return None, None


def _ray(modules: Mapping[str, Any]) -> Tuple[Optional[int], Optional[int], Optional[str]]:
    """Rank, world size and training of a Ray Train worker, or a trial of Ray Tune.

    Outside of a training Ray Train raises RuntimeError, within a trial of Ray Tune DeprecationWarning as an exception
    (2.60). Ray Tune's context says rank 0 of 1 to everybody, and is not asked for ranks.
    """
    try:
        context = modules["ray.train"].get_context()
        training = context.get_experiment_name()
        if training:
            return int(context.get_world_rank()), int(context.get_world_size()), f"train {training}"
    except _ASKING:
        context = None
    try:
        context = modules["ray.tune"].get_context()
        training, trial = context.get_experiment_name(), context.get_trial_id()
        if training and trial:
            return None, None, f"tune {training} {trial}"
    except _ASKING:
        context = None
    return None, None, None
