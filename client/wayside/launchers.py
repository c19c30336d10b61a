"""What launchers leave in the environment: which process of how many this is, and how often it was started again.

Pure functions of a mapping. A value that is no number is as good as none, and nothing raises. The order of the
resolution, and what each launcher sets, follow the launchers' own sources; tests/client/environments.json holds
environments as they were found.
"""

from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

Environ = Mapping[str, str]

MAX_NUMBER = 1 << 31  #: ranks and counts beyond it are a mistake, and the frames' readers keep 32 bits

# rank, processes, rank on the node, processes on the node, launcher. Their order is that of trust: mpirun inside a
# Slurm job starts its own daemons with srun, so Slurm's numbers are then those of the daemons.
_FAMILIES = (
    (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "openmpi",
    ),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE", "mvapich"),
    ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK", "JSM_NAMESPACE_LOCAL_SIZE", "jsrun"),
    ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE", "horovod"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", "mpich"),
    ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES", "JAX_LOCAL_PROCESS_ID", "", "jax"),
)

# OMPI_COMM_WORLD_NODE_RANK is not among them: it is the rank on the node, not the node's.
_NODE_RANKS = (
    "GROUP_RANK",
    "SLURM_NODEID",
    "PET_NODE_RANK",
    "NODE_RANK",
    "CROSS_RANK",
    "HOROVOD_CROSS_RANK",
    "JOB_COMPLETION_INDEX",
    "VC_TASK_INDEX",
    "VK_TASK_INDEX",
)

# Variables with which a pod or a script says that a node runs several processes: RANK without LOCAL_RANK is then
# the node's.
_PROCESSES_PER_NODE = ("PET_NPROC_PER_NODE", "PET_N_PROC_PER_NODE", "NPROC_PER_NODE", "GPUS_PER_NODE")

#: Variables that people set themselves, and may set wrong.
_BY_HAND = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK")


class Ranks(NamedTuple):
    """Which process this is, as far as its launcher told: all counted from 0, None where it did not say."""

    rank: Optional[int] = None
    world_size: Optional[int] = None
    local_rank: Optional[int] = None
    local_world_size: Optional[int] = None
    launcher: Optional[str] = None


def find_ranks(environ: Environ) -> Ranks:
    """The ranks of a process, from the first launcher that tells them.

    RANK is a rank where LOCAL_RANK stands beside it. Alone it may be a pod's, set by an operator for the torchrun
    inside: it counts as a rank when WORLD_SIZE is there and no variable speaks of several processes a node, since
    one process a pod is what is left then (a Kubeflow PyTorchJob that runs `python train.py`, or RANK set by hand).
    """
    for find in (_torch, _lightning, _family, slurm_ranks, _tpu, _tensorflow, _plain):
        found = find(environ)
        if found is not None:
            return found
    return Ranks(local_rank=read_number(environ, "LOCAL_RANK"))


def find_node_rank(environ: Environ) -> Optional[int]:
    """Which node of how many this process runs on, or None."""
    for name in _NODE_RANKS:
        found = read_number(environ, name)
        if found is not None:
            return found
    hosts = _json(environ.get("SM_HOSTS", ""))
    if isinstance(hosts, list) and environ.get("SM_CURRENT_HOST") in hosts:
        return hosts.index(environ["SM_CURRENT_HOST"])
    if read_number(environ, "LOCAL_RANK") is None and read_number(environ, "WORLD_SIZE") is not None:
        return read_number(environ, "RANK")
    return read_number(environ, "TPU_WORKER_ID")


def find_attempt(environ: Environ) -> str:
    """ "outer.inner": how often the job was started again, and how often the processes within this start of it.

    JOBSET_RESTART_ATTEMPT is the name under which pods commonly get JobSet's annotation, VC_JOB_RETRY_COUNT the one
    we ask for with Volcano's; neither is set unless the pod's manifest does so. A container that Kubernetes starts
    again within its pod cannot be told from its environment.
    """
    dispatched = read_number(environ, "DISPATCH_COUNT")  # of Primus-SaFE, and counted from 1
    counts = [
        read_number(environ, name) for name in ("SLURM_RESTART_COUNT", "JOBSET_RESTART_ATTEMPT", "VC_JOB_RETRY_COUNT")
    ]
    outer = max([0 if dispatched is None else max(0, dispatched - 1), *(count or 0 for count in counts)])
    return f"{outer}.{read_number(environ, 'TORCHELASTIC_RESTART_COUNT') or 0}"


def rank_problems(environ: Environ) -> List[str]:
    """What to tell of the variables people set by hand, where they cannot be meant so."""
    told = []
    for name in _BY_HAND:
        text = environ.get(name, "").strip()
        if text and _number(text) is None:
            told.append(f"{name} is {text[:40]!a} and must be a whole number from 0 on; it counts as not set")
    rank, world = read_number(environ, "RANK"), read_number(environ, "WORLD_SIZE")
    if rank is not None and world is not None and rank >= world:
        told.append(
            f"RANK is {rank} and WORLD_SIZE {world}: ranks count from 0 to {max(0, world - 1)}; neither is used"
        )
    return told


def in_ray(environ: Environ) -> bool:
    """Whether this is one of Ray's worker processes."""
    return "RAY_JOB_ID" in environ or "RAY_RAYLET_PID" in environ


def slurm_ranks(environ: Environ) -> Optional[Ranks]:
    """Ranks of an `srun` step of several tasks; None elsewhere.

    A batch script's own environment says SLURM_PROCID=0 and SLURM_NTASKS=4 too, though `python train.py` in it is
    one process; so does a shell in an allocation. Only a step has SLURM_STEP_NUM_TASKS.
    """
    rank, world = read_number(environ, "SLURM_PROCID"), read_number(environ, "SLURM_STEP_NUM_TASKS")
    if rank is None or world is None or not rank < world or world < 2 or environ.get("SLURM_JOB_NAME") == "bash":
        return None
    node = read_number(environ, "SLURM_NODEID")
    local_world = tasks_on_node(environ.get("SLURM_STEP_TASKS_PER_NODE", ""), 0 if node is None else node)
    return Ranks(rank, world, read_number(environ, "SLURM_LOCALID"), local_world, "srun")


def tasks_on_node(text: str, node: int) -> Optional[int]:
    """How many tasks Slurm's list of counts ("2(x3),1") gives the node of this index."""
    for part in text.split(","):
        count, _, times = part.partition("(x")
        repeat = _number(times[:-1]) if times else 1
        if repeat is None or _number(count) is None:
            return None
        if node < repeat:
            return _number(count)
        node -= repeat
    return None


def read_number(environ: Environ, name: str) -> Optional[int]:
    """A variable's value as a whole number from 0 on, or None."""
    return _number(environ.get(name, "").strip())


def _number(text: str) -> Optional[int]:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    value = int(text)
    return value if value < MAX_NUMBER else None


def _checked(rank: Optional[int], world: Optional[int], rest: Tuple[Optional[int], Optional[int], str]) -> Ranks:
    """Ranks, without what cannot be: a rank beyond the number of processes."""
    if world is not None and (world < 1 or (rank is not None and rank >= world)):
        return Ranks(launcher=rest[2])
    return Ranks(rank, world, *rest)


def _torch(environ: Environ) -> Optional[Ranks]:
    """torchrun and everything that speaks its dialect: accelerate, deepspeed, Ray Train, NVRx."""
    rank, local_rank = read_number(environ, "RANK"), read_number(environ, "LOCAL_RANK")
    if rank is None or local_rank is None:
        return None
    local_world = read_number(environ, "LOCAL_WORLD_SIZE")
    if local_world is None:
        local_world = read_number(environ, "LOCAL_SIZE")  # deepspeed's word for it
    return _checked(rank, read_number(environ, "WORLD_SIZE"), (local_rank, local_world, _torch_launcher(environ)))


def _torch_launcher(environ: Environ) -> str:
    if in_ray(environ):
        return "ray"
    if "FT_RANK_MONITOR_IPC_SOCKET" in environ or "NVRX_CURRENT_CYCLE_INFO" in environ:
        return "nvrx"
    if "ACCELERATE_MIXED_PRECISION" in environ or "ACCELERATE_DYNAMO_BACKEND" in environ:
        return "accelerate"
    if "CROSS_RANK" in environ and "LOCAL_SIZE" in environ:
        return "deepspeed"
    return "torchrun" if "TORCHELASTIC_RUN_ID" in environ else "environment"


def _lightning(environ: Environ) -> Optional[Ranks]:
    """Lightning's own launcher, which starts the script once more for each device and tells no RANK.

    On the first node the local rank is the rank; on others it would take the number of devices, which is not told.
    """
    local_rank, node = read_number(environ, "LOCAL_RANK"), read_number(environ, "NODE_RANK")
    world = read_number(environ, "WORLD_SIZE")
    if local_rank is None or node is None or world is None or "RANK" in environ:
        return None
    return _checked(local_rank if node == 0 else None, world, (local_rank, None, "lightning"))


def _family(environ: Environ) -> Optional[Ranks]:
    for rank_name, world_name, local_rank_name, local_world_name, launcher in _FAMILIES:
        rank = read_number(environ, rank_name)
        if rank is None:
            continue
        slurm = slurm_ranks(environ) if launcher == "mpich" else None
        world = read_number(environ, world_name)
        if slurm is not None and (slurm.rank, slurm.world_size) == (rank, world):
            return slurm  # srun --mpi=pmi2: the same task, of which Slurm tells more
        return _checked(
            rank, world, (read_number(environ, local_rank_name), read_number(environ, local_world_name), launcher)
        )
    rank = read_number(environ, "PMIX_RANK")
    if rank is None or environ.get("PMIX_NAMESPACE", "").startswith("slurm."):
        return None
    return Ranks(rank, launcher="pmix")


def _tpu(environ: Environ) -> Optional[Ranks]:
    """Cloud TPU hosts, one process each, as JAX runs; slices are numbered one after the other."""
    worker = read_number(environ, "TPU_WORKER_ID")
    hosts = len([host for host in environ.get("TPU_WORKER_HOSTNAMES", "").split(",") if host.strip()])
    slices = read_number(environ, "MEGASCALE_NUM_SLICES") or 1
    if worker is None or hosts * slices < 2:
        return None
    rank = (read_number(environ, "MEGASCALE_SLICE_ID") or 0) * hosts + worker
    return _checked(rank, hosts * slices, (None, None, "tpu"))


def _tensorflow(environ: Environ) -> Optional[Ranks]:
    """TF_CONFIG: tasks counted through in the order chief, master, worker, then the others by name."""
    config = _json(environ.get("TF_CONFIG", ""))
    cluster, task = (config.get("cluster"), config.get("task")) if isinstance(config, dict) else (None, None)
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        return None
    sizes = {kind: len(hosts) for kind, hosts in cluster.items() if isinstance(hosts, list)}
    index, world = _number(str(task.get("index", ""))), sum(sizes.values())
    if index is None or task.get("type") not in sizes or world < 2:
        return None  # an evaluator stands outside the cluster
    known = ("chief", "master", "worker")
    order = [kind for kind in known if kind in sizes] + sorted(kind for kind in sizes if kind not in known)
    before = sum(sizes[kind] for kind in order[: order.index(task["type"])])
    return _checked(before + index, world, (None, None, "tensorflow"))


def _plain(environ: Environ) -> Optional[Ranks]:
    rank, world = read_number(environ, "RANK"), read_number(environ, "WORLD_SIZE")
    if rank is None or world is None:
        return None
    if any(environ.get(name, "").strip() not in ("", "1") for name in _PROCESSES_PER_NODE):
        return None
    return _checked(rank, world, (None, None, "environment"))


def _json(text: str) -> Any:
    if not text.strip():
        return None
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
