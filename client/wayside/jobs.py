"""What a job is called by those who run it: the cluster's name for it, or the launcher's.

Pure functions of a mapping. `cluster_job` gives a name that every process of the job shares and that outlives its
restarts; `launched` one that the processes of a single launch share. Where a name could also be another job's,
there is None: two experiments in one run cannot be taken apart again, one experiment in two runs is only untidy.
"""

from typing import Mapping, Optional, Tuple

from .launchers import Ranks, read_number

Environ = Mapping[str, str]

_SHELL_STEP = "4294967290"  # Slurm's own number for the shell of an allocation
_MEANINGLESS = ("", "none", "123456789")  # rendezvous ids that torchrun and deepspeed make up for everybody


def find_workload(environ: Environ) -> Optional[str]:
    """The job as the cluster knows it: the uid where the pod was given it, else Primus-SaFE's id."""
    return _text(environ, "WORKLOAD_UID") or _text(environ, "WORKLOAD_ID")


def cluster_job(environ: Environ, ranks: Ranks) -> Optional[Tuple[str, str]]:
    """The scheduler that runs this job, and its name for the job; None outside of any, or in a shell of one."""
    workload = find_workload(environ)
    if workload is not None:
        return "primus" if "WORKLOAD_ID" in environ else "workload", workload
    for system, find in (
        ("slurm", _slurm),
        ("lsf", _lsf),
        ("sagemaker", _sagemaker),
        ("jobset", _jobset),
        ("volcano", _volcano),
        ("kubernetes", _indexed_job),
        ("kubeflow", _pytorch_job),
        ("kuberay", _kuberay),
    ):
        name = find(environ, ranks)
        if name is not None:
            return system, name
    return None


def launched(environ: Environ, ranks: Ranks, parent: Optional[str]) -> Optional[str]:
    """A name that the processes of this one launch share; None when there is none, or no launcher.

    torchrun keeps a folder of its own for each launch, for all of its restarts; Open MPI makes up a key. Others leave
    nothing, but on one node their processes have one parent: the launcher, unless the ranks were set by hand, when it
    is a shell. Over several nodes torchrun's `--rdzv-id` is what they share, unless it is one that everybody has.
    """
    world = ranks.world_size
    if world is None:
        return None
    one_node = ranks.local_world_size == world
    if one_node:
        folder, found, _ = environ.get("TORCHELASTIC_ERROR_FILE", "").rpartition("/attempt_")
        if found:
            return f"torchrun {folder}"
    rendezvous = environ.get("TORCHELASTIC_RUN_ID", "").strip()
    if rendezvous not in _MEANINGLESS:
        return f"rdzv {rendezvous}"
    key = _text(environ, "OMPI_MCA_orte_precondition_transports")
    if key is not None:
        return f"openmpi {key}"
    return f"parent {parent}" if one_node and world > 1 and parent and ranks.launcher != "environment" else None


def _text(environ: Environ, name: str) -> Optional[str]:
    return environ.get(name, "").strip() or None


def _slurm(environ: Environ, ranks: Ranks) -> Optional[str]:
    """Cluster, job (of an array: its task), and the step, so that several `srun` of one script are several jobs.

    A requeued job counts its steps from 0 again, so the name stays. Shells are no jobs: what runs in them is started
    by a person, again and again under one number. They are known by the names that srun and salloc give them, by a
    step of Slurm's own, or by having neither a step nor SLURM_PROCID.
    """
    job, step = read_number(environ, "SLURM_JOB_ID"), read_number(environ, "SLURM_STEP_ID")
    shell = environ.get("SLURM_JOB_NAME", "")
    if job is None or shell == "bash" or environ.get("SLURM_STEP_ID") == _SHELL_STEP:
        return None
    if step is None and (shell == "interactive" or read_number(environ, "SLURM_PROCID") is None):
        return None
    array, task = read_number(environ, "SLURM_ARRAY_JOB_ID"), read_number(environ, "SLURM_ARRAY_TASK_ID")
    name = f"{job}" if array is None or task is None else f"{array}_{task}"
    if step is not None and not _outgrows_step(environ, ranks):
        name += f".{step}"
    return f"{environ.get('SLURM_CLUSTER_NAME', '')}/{name}"


def _outgrows_step(environ: Environ, ranks: Ranks) -> bool:
    """Whether a script started torchrun on each node with an `srun` of its own: the job is then more than the step."""
    tasks = read_number(environ, "SLURM_STEP_NUM_TASKS")
    if tasks is None or ranks.world_size is None:
        return False
    return ranks.world_size > tasks * (ranks.local_world_size or 1)


def _lsf(environ: Environ, ranks: Ranks) -> Optional[str]:
    job = read_number(environ, "LSB_JOBID")
    if job is None or _text(environ, "LSB_INTERACTIVE") == "Y":
        return None
    return f"{job}[{read_number(environ, 'LSB_JOBINDEX') or 0}]"  # 0 where the job is no array


def _sagemaker(environ: Environ, ranks: Ranks) -> Optional[str]:
    return _text(environ, "TRAINING_JOB_NAME")


def _jobset(environ: Environ, ranks: Ranks) -> Optional[str]:
    """JobSet sets no variables; these are the names under which manifests commonly hand its labels on."""
    uid = _text(environ, "JOBSET_UID")
    if uid is not None:
        return uid
    name = _text(environ, "JOBSET_NAME")
    return name and _in_namespace(environ, name)


def _volcano(environ: Environ, ranks: Ranks) -> Optional[str]:
    """The job is the subdomain of its tasks' host names: "train-worker-0.train,train-worker-1.train"."""
    if "VC_TASK_INDEX" not in environ and "VK_TASK_INDEX" not in environ:
        return None
    for name in sorted(environ):
        if name.startswith("VC_") and name.endswith("_HOSTS"):
            host, _, job = environ[name].split(",")[0].strip().partition(".")
            if job and host.startswith(f"{job}-"):
                return _in_namespace(environ, job)
    return None


def _indexed_job(environ: Environ, ranks: Ranks) -> Optional[str]:
    """An indexed Job's pods are called "<job>-<index>-<5 characters>", and "<job>-<index>" is their host name."""
    index = read_number(environ, "JOB_COMPLETION_INDEX")
    if index is None:
        return None
    pod = _text(environ, "POD_NAME")
    if pod is not None:
        job, _, random = pod.rpartition("-")
        if len(random) == 5 and job.endswith(f"-{index}"):
            pod = job
    pod = pod or _text(environ, "HOSTNAME") or ""
    ending = f"-{index}"
    job = pod[: -len(ending)] if pod.endswith(ending) else ""
    return _in_namespace(environ, job) if job else None


def _pytorch_job(environ: Environ, ranks: Ranks) -> Optional[str]:
    """A Kubeflow PyTorchJob: the first pod's name, which is an address to all, and our own pod's have it in common."""
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return None
    first = _text(environ, "PET_RDZV_ENDPOINT") or _text(environ, "MASTER_ADDR") or ""
    job = _replica_of(first.partition(":")[0].partition(".")[0])
    if job is None or job != _replica_of(_text(environ, "POD_NAME") or _text(environ, "HOSTNAME") or ""):
        return None
    return _in_namespace(environ, job)


def _replica_of(pod: str) -> Optional[str]:
    """The job of a pod that is called "<job>-master-<n>" or "<job>-worker-<n>"."""
    rest, _, index = pod.rpartition("-")
    job, _, kind = rest.rpartition("-")
    return job if job and kind in ("master", "worker") and index.isdigit() else None


def _kuberay(environ: Environ, ranks: Ranks) -> Optional[str]:
    """The cluster that KubeRay made for a job; a driver's submission within it where it is told."""
    cluster, job = _text(environ, "RAY_CLUSTER_NAME"), _text(environ, "RAY_JOB_SUBMISSION_ID")
    return _in_namespace(environ, f"{cluster}/{job}") if cluster and job else None


def _in_namespace(environ: Environ, name: str) -> str:
    return f"{environ.get('POD_NAMESPACE', '').strip()}/{name}"
