"""Who is speaking: a session and its run, as told by the record with which every session introduces itself.

The record is the JSON of a HELLO frame (`wayside.wire`). Fields this version does not know are ignored, missing ones
take their defaults: any language may write one, and newer clients may say more.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Kind = Literal["run", "system", "test"]


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """One experiment. `id` is the same on every rank and over restarts; the rest is what the user called it."""

    id: str
    name: str | None = None
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None
    resume: str | None = None


class Pod(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the session runs, as Kubernetes calls it."""

    name: str | None = None
    uid: str | None = None
    namespace: str | None = None
    node: str | None = None


class Primus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the training container's `PRIMUS_LENS_*` ask. endpoint: where Lens is, as it was told there. reporting:
    whether Lens is to get the session. output: the folder for its metrics as files. enhance: whether those hold
    hardware metrics, too. batch_size: steps of one request to Lens, at most.
    """

    endpoint: str | None = None
    reporting: bool = True
    output: str | None = None
    enhance: bool = False
    batch_size: int | None = None


class ForWandb(msgspec.Struct, frozen=True, omit_defaults=True):
    """What its `WANDB_*` ask of W&B. mode: "online", "offline" or "disabled"; another word means online. base_url: the
    server, as it was told there. dir: where offline folders are wanted. verify_tls: False where certificates are not
    to be checked.
    """

    mode: str = "online"
    base_url: str | None = None
    dir: str | None = None
    verify_tls: bool = True


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """One connected process of a run.

    session: 32 hexadecimal digits. kind: "run" for a training process, "system" for the collector's own samplers,
    whose rows count for every open run of their pod, "test" for `wayside doctor`, whose rows are stored and left out
    by every sink. rank, local_rank, node_rank, world_size: as the launcher told them, or None. workload: the job as
    the cluster knows it. attempt: "outer.inner", how often the job and the process group were started again. started:
    Unix time in seconds. origin: "wayside", "wandb" (a mirrored wandb run, uploaded by the trainer's own SDK), "json"
    (JSON lines), "http" (requests) or "mqtt" (a broker's messages). posted: the mark under which its rows come in
    requests, empty where they come another way. primus, wandb: what its environment asks of other trackers. continues:
    what the collector notes when a session that was taken for dead comes back and goes on as this one: its own id, and
    the seq and points it had then. via: the id of the collector that feeds us this session, None for our own.
    namespace: that of the token with which it came, None for none. media_root, media_place: where it puts files that
    its events name, absolutely and as seen from the socket's folder.
    """

    session: str
    run: Run
    kind: Kind = "run"
    rank: int | None = None
    local_rank: int | None = None
    node_rank: int | None = None
    world_size: int | None = None
    workload: str | None = None
    attempt: str = "0"
    launcher: str | None = None
    pod: Pod = Pod()
    host: str = ""
    pid: int = 0
    started: float = 0.0
    origin: str = "wayside"
    continues: tuple[str, int, int] | None = None
    posted: tuple[str, ...] = ()
    via: str | None = None
    namespace: str | None = None
    media_root: str | None = None
    media_place: str | None = None
    primus: Primus = Primus()
    wandb: ForWandb = ForWandb()

    @property
    def id(self) -> str:
        return self.session


def read_session(record: bytes | dict[str, Any]) -> Session:
    """A session from its record; raises msgspec.ValidationError naming the field that is wrong."""
    if isinstance(record, bytes):
        return msgspec.json.decode(record, type=Session)
    return msgspec.convert(record, Session)


def in_namespace(record: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
    """A session's record as it is kept of who may write to this namespace alone; None for any. Its run's id begins with
    the namespace, which has no dots, so that no namespace can write into a run of another.
    """
    found = {key: value for key, value in record.items() if key not in ("namespace", "via")}
    run = found.get("run")
    if namespace is not None:
        found["namespace"] = namespace
        if isinstance(run, dict) and isinstance(run.get("id"), str) and run["id"]:
            found["run"] = {**run, "id": id_within(namespace, run["id"]), "name": run.get("name") or run["id"]}
    return found


def id_within(namespace: str | None, id: str) -> str:
    """A run's id as it is kept, by the id that its writer has for it."""
    return id if namespace is None else f"{namespace}.{id}"
