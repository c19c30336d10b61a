"""Which process this is, for every launcher: environments as found, or as the launchers' sources write them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside.identity import Here, find_place
from wayside.launchers import find_attempt, find_node_rank, find_ranks, read_number, tasks_on_node

GROUPS = json.loads(Path(__file__).with_name("environments.json").read_text())
NUMBERS = sorted(
    {name for group in GROUPS.values() for environ in group["environments"].values() for name in environ}
    | {"HOROVOD_LOCAL_SIZE", "JAX_LOCAL_PROCESS_ID", "MEGASCALE_SLICE_ID", "VC_JOB_RETRY_COUNT", "NPROC_PER_NODE"}
)

# group, environment: rank, world size, local rank, local world size, node rank, launcher, attempt
TABLE = [
    ("torchrun", "rank 1", 1, 2, 1, 2, 0, "torchrun", "0.0"),
    ("torchrun", "rank 1 restarted", 1, 2, 1, 2, 0, "torchrun", "0.1"),
    ("torchrun two nodes", "rank 3 restarted", 3, 4, 1, 2, 1, "torchrun", "0.1"),
    ("accelerate launch", "rank 1", 1, 2, 1, 2, 0, "accelerate", "0.0"),
    ("nvrx", "rank 1", 1, 2, 1, 2, 0, "nvrx", "0.4"),
    ("deepspeed", "rank 1", 1, 2, 1, 2, 0, "deepspeed", "0.0"),
    ("lightning", "rank 1", 1, 2, 1, None, 0, "lightning", "0.0"),
    ("slurm srun", "rank 0", 0, 4, 0, 3, 0, "srun", "0.0"),
    ("slurm srun", "rank 2", 2, 4, 2, 3, 0, "srun", "0.0"),
    ("slurm srun", "rank 3", 3, 4, 0, 1, 1, "srun", "0.0"),
    ("slurm srun", "rank 3 requeued", 3, 4, 0, 1, 1, "srun", "1.0"),
    ("slurm second srun", "task requeued", None, None, None, None, 0, "slurm", "1.0"),
    ("slurm batch script", "python", None, None, None, None, 0, "slurm", "0.0"),
    ("slurm array task 2", "rank 1", 1, 2, 1, 2, 0, "srun", "0.0"),
    ("slurm salloc srun", "rank 1", 1, 2, 1, 2, 0, "srun", "0.0"),
    ("slurm salloc shell", "python", None, None, None, None, None, None, "0.0"),
    ("slurm srun --pty bash", "python", None, None, None, None, 0, None, "0.0"),
    ("slurm mpiexec", "rank 1", 1, 2, 1, 2, 0, "mpich", "0.0"),
    ("slurm srun torchrun", "rank 7", 7, 8, 3, 4, 1, "torchrun", "0.0"),
    ("slurm srun torchrun", "rank 7 restarted", 7, 8, 3, 4, 1, "torchrun", "0.2"),
    ("open mpi", "rank 1", 1, 2, 1, 2, None, "openmpi", "0.0"),
    ("mpich", "rank 1", 1, 2, 1, 2, None, "mpich", "0.0"),
    ("mvapich", "rank 1", 1, 2, 1, 2, None, "mvapich", "0.0"),
    ("lsf jsrun", "rank 3", 3, 4, 1, None, None, "jsrun", "0.0"),
    ("horovod", "rank 3", 3, 4, 1, 2, 1, "horovod", "0.0"),
    ("jax", "process 1", 1, 4, None, None, None, "jax", "0.0"),
    ("tpu", "slice 0 host 1", 1, 4, None, None, 1, "tpu", "0.0"),
    ("tpu", "slice 1 host 0", 2, 4, None, None, 0, "tpu", "0.0"),
    ("tensorflow", "chief", 0, 4, None, None, None, "tensorflow", "0.0"),
    ("tensorflow", "worker 1", 2, 4, None, None, None, "tensorflow", "0.0"),
    ("tensorflow", "ps", 3, 4, None, None, None, "tensorflow", "0.0"),
    ("tensorflow", "evaluator", None, None, None, None, None, None, "0.0"),
    ("kubeflow pytorchjob", "worker", 1, 2, None, None, 1, "environment", "0.0"),
    ("kubeflow pytorchjob torchrun", "rank 3", 3, 4, 1, 2, 1, "torchrun", "0.0"),
    ("kubeflow trainjob", "rank 3", 3, 4, 1, 2, 1, "torchrun", "0.0"),
    ("indexed job", "pod 1", None, None, None, None, 1, "kubernetes", "0.0"),
    ("jobset", "slice 1 restarted", None, None, None, None, 0, "jobset", "2.0"),
    ("volcano", "task 1", None, None, None, None, 1, "volcano", "0.0"),
    ("primus-safe", "rank 15", 15, 16, 7, 8, 1, "torchrun", "0.0"),
    ("primus-safe", "rank 15 dispatched again", 15, 16, 7, 8, 1, "torchrun", "2.1"),
    ("sagemaker", "host 2", None, None, None, None, 1, "sagemaker", "0.0"),
    ("ray worker", "train worker", None, None, None, None, None, "ray", "0.0"),
    ("laptop", "python", None, None, None, None, None, None, "0.0"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}: {row[1]}")
def test_every_launcher_is_understood(row: tuple[object, ...]) -> None:
    """A launcher's variables give the ranks, the launcher and the attempt it meant."""
    group, environment, *expected = row
    place = find_place(GROUPS[group]["environments"][environment], Here())
    found = (place.rank, place.world_size, place.local_rank, place.local_world_size, place.node_rank)
    assert [*found, place.launcher, place.attempt] == expected


def test_every_group_is_in_the_table() -> None:
    """No environment was written down without being checked."""
    asked = {row[0] for row in TABLE}
    variants = {
        "torchrun again",
        "torchrun two nodes without id",
        "slurm array task 1",
        "slurm srun a node",
        "indexed job without downward api",
    }
    assert set(GROUPS) - asked == variants


def test_rank_alone_is_a_rank_where_one_process_a_node_is_what_is_left() -> None:
    """RANK without LOCAL_RANK counts when WORLD_SIZE is there and nothing speaks of several processes a node."""
    environ = {"RANK": "1", "WORLD_SIZE": "2"}
    assert (find_ranks(environ).rank, find_node_rank(environ)) == (1, 1)
    assert find_ranks({**environ, "PET_NPROC_PER_NODE": "1"}).rank == 1
    for name in ("PET_NPROC_PER_NODE", "PET_N_PROC_PER_NODE", "NPROC_PER_NODE", "GPUS_PER_NODE"):
        assert find_ranks({**environ, name: "8"}).rank is None
        assert find_node_rank({**environ, name: "8"}) == 1
    assert find_ranks({**environ, "PET_NPROC_PER_NODE": "auto"}).rank is None
    assert find_ranks({"RANK": "1"}).rank is None
    assert find_node_rank({"RANK": "1"}) is None


def test_lightning_tells_the_rank_on_its_first_node_only() -> None:
    """On other nodes the rank would take the number of devices, which Lightning does not tell."""
    environ = {"LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4"}
    ranks = find_ranks(environ)
    assert (ranks.rank, ranks.world_size, ranks.local_rank, ranks.launcher) == (None, 4, 1, "lightning")


@pytest.mark.parametrize(
    ("environ", "launcher"),
    [
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, "environment"),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "RAY_JOB_ID": "01000000"}, "ray"),
        ({"PMIX_RANK": "0", "PMIX_NAMESPACE": "prterun-a-1@1"}, "pmix"),
        ({"PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.1.0"}, None),
    ],
)
def test_names_of_launchers(environ: dict[str, str], launcher: str | None) -> None:
    """The launcher is the nearest one that left a trace."""
    assert find_ranks(environ).launcher == launcher


def test_srun_with_pmi_is_srun() -> None:
    """Where srun speaks PMI to its tasks, Slurm tells more of the same task; where mpiexec was started by it, less."""
    slurm = dict(GROUPS["slurm srun"]["environments"]["rank 3"], PMI_RANK="3", PMI_SIZE="4")
    assert find_ranks(slurm) == find_ranks(GROUPS["slurm srun"]["environments"]["rank 3"])
    assert find_ranks(dict(slurm, PMI_SIZE="8")).launcher == "mpich"


def test_a_single_tpu_host_has_no_rank() -> None:
    """Every TPU host has a worker's number; of a single one it is no rank, since it may run several processes."""
    environ = {"TPU_WORKER_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost"}
    assert find_ranks(environ).rank is None
    assert find_ranks({**environ, "MEGASCALE_NUM_SLICES": "2", "MEGASCALE_SLICE_ID": "1"}).rank == 1


def test_a_rank_beyond_the_world_is_none() -> None:
    """A rank that cannot be is not told, and neither is a world of nobody."""
    assert find_ranks({"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}).rank is None
    assert find_ranks({"PMI_RANK": "0", "PMI_SIZE": "0"}).world_size is None


@pytest.mark.parametrize(
    "value", ["", " ", "-1", "1.0", "1e3", "٣", "²", "0x1", "nan", "99999999999", "4294967296", "9" * 5000, "a"]
)
def test_what_is_no_number_is_nothing(value: str) -> None:
    """A value that is no whole number below the limit counts as unset."""
    assert read_number({"RANK": value}, "RANK") is None
    assert find_ranks({"RANK": value, "LOCAL_RANK": "0", "WORLD_SIZE": "2"}).rank is None


def test_numbers_may_have_blanks_and_zeros() -> None:
    """Blanks around a number and zeros before it do no harm."""
    assert read_number({"RANK": " 007\n"}, "RANK") == 7


@pytest.mark.parametrize(
    ("text", "counts"),
    [("4", [4]), ("2(x3),1", [2, 2, 2, 1]), ("3,1", [3, 1]), ("1(x2)", [1, 1])],
)
def test_tasks_on_each_node(text: str, counts: list[int]) -> None:
    """Slurm's list of counts is read node by node, and beyond its end there is none."""
    assert [tasks_on_node(text, node) for node in range(len(counts))] == counts
    assert tasks_on_node(text, len(counts)) is None


@pytest.mark.parametrize("text", ["", "x", "2(x", "2(xx)", "(x2)", "2(x-1)", ",", "2(x3"])
def test_a_bad_list_of_counts_is_none(text: str) -> None:
    """A list of counts that Slurm would not write gives none, or what can still be read of it."""
    assert tasks_on_node(text, 5) is None


@pytest.mark.parametrize(
    ("environ", "attempt"),
    [
        ({"DISPATCH_COUNT": "0"}, "0.0"),
        ({"DISPATCH_COUNT": "3", "SLURM_RESTART_COUNT": "1", "TORCHELASTIC_RESTART_COUNT": "2"}, "2.2"),
        ({"DISPATCH_COUNT": "1", "VC_JOB_RETRY_COUNT": "4"}, "4.0"),
        ({"JOBSET_RESTART_ATTEMPT": "soon", "TORCHELASTIC_RESTART_COUNT": "-1"}, "0.0"),
    ],
)
def test_attempts(environ: dict[str, str], attempt: str) -> None:
    """The outer number is the largest that a scheduler tells, the inner one torchelastic's."""
    assert find_attempt(environ) == attempt


@given(
    st.dictionaries(st.sampled_from(NUMBERS), st.one_of(st.text(max_size=6), st.integers(-2, 9).map(str)), max_size=12)
)
def test_nothing_raises(environ: dict[str, str]) -> None:
    """Whatever the variables hold, there is a place, and its ranks are possible ones."""
    place = find_place(environ, Here())
    if place.rank is not None and place.world_size is not None:
        assert 0 <= place.rank < place.world_size


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        "{}",
        '{"cluster": [], "task": {}}',
        "[" * 100_000,
        '{"cluster": {"w": 1}, "task": {"type": "w", "index": []}}',
    ],
)
def test_a_bad_tf_config_is_none(text: str) -> None:
    """A TF_CONFIG that TensorFlow would refuse tells no rank, and SM_HOSTS likewise no node."""
    assert find_ranks({"TF_CONFIG": text}).rank is None
    assert find_node_rank({"SM_HOSTS": text, "SM_CURRENT_HOST": "a"}) is None
