"""The run's id: the same on every rank and over restarts, another for another experiment; and the place's record."""

import itertools
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside.identity import MAX_ID, REFUSED, Here, Place, RunId, find_place, look, run_id
from wayside.settings import Settings, read_settings
from wayside_collector.session import read_session

GROUPS = json.loads(Path(__file__).with_name("environments.json").read_text())
TRAIN = Here(argv=("train.py", "--lr", "0.1"), parent="boot 41 1000")
NONE = Settings()


def chosen(environ: dict[str, str], here: Here = TRAIN, name: str | None = None, nth: int = 1) -> str:
    return run_id(None, NONE, find_place(environ, here), "demo", name, nth).id


def of(group: str) -> list[dict[str, str]]:
    return list(GROUPS[group]["environments"].values())


ONE_RUN = [
    "torchrun",
    "torchrun two nodes",
    "slurm srun",
    "slurm second srun",
    "slurm batch script",
    "slurm array task 1",
    "slurm array task 2",
    "slurm salloc srun",
    "slurm mpiexec",
    "slurm srun torchrun",
    "slurm srun a node",
    "open mpi",
    "mpich",
    "deepspeed",
    "lsf jsrun",
    "indexed job",
    "indexed job without downward api",
    "kubeflow pytorchjob",
    "kubeflow pytorchjob torchrun",
    "kubeflow trainjob",
    "jobset",
    "volcano",
    "primus-safe",
    "sagemaker",
    "nvrx",
]


@pytest.mark.parametrize("group", ONE_RUN)
def test_every_rank_and_every_restart_is_one_run(group: str) -> None:
    """All processes of a job come to one id without a word between them, restarted ones included."""
    assert len({chosen(environ) for environ in of(group)}) == 1


def test_different_jobs_are_different_runs() -> None:
    """No two jobs share an id, but for the second srun of a job, which is one of its own, and the batch script's."""
    ids = {group: chosen(of(group)[0]) for group in [*ONE_RUN, "torchrun again"]}
    same = {frozenset((one, two)) for one, two in itertools.combinations(ids, 2) if ids[one] == ids[two]}
    by_parent = {"mpich", "deepspeed"}  # told apart by their parent, which is the same in this test
    by_job = {"indexed job", "indexed job without downward api"}
    slurm = {"slurm srun", "slurm srun torchrun"}  # the same found job and step, with other processes in it
    assert {tuple(sorted(pair)) for pair in same} <= {tuple(sorted(pair)) for pair in (by_parent, by_job, slurm)}


RANDOM = ["laptop", "slurm salloc shell", "slurm srun --pty bash", "torchrun two nodes without id", "ray worker"]


@pytest.mark.parametrize("group", [*RANDOM, "lightning", "horovod", "mvapich"])
def test_where_nothing_is_shared_ids_are_random(group: str) -> None:
    """With no job to name, or at a shell, every start is a run of its own."""
    environ = of(group)[0]
    here = TRAIN._replace(parent=None)
    assert chosen(environ, here) != chosen(environ, here)


def changed(group: str, **values: str | None) -> dict[str, str]:
    """The group's first environment with other values; None takes a variable out."""
    environ = {**of(group)[0], **values}
    return {name: value for name, value in environ.items() if value is not None}


@pytest.mark.parametrize(
    "environ",
    [
        changed("slurm salloc shell", SLURM_JOB_NAME="named"),
        changed("slurm batch script", SLURM_JOB_NAME="interactive"),
        changed("slurm srun", SLURM_STEP_ID="4294967290", SLURM_STEP_NUM_TASKS="1"),
        changed("indexed job", POD_NAME="train-bert-0-notfive", HOSTNAME=None),
        changed("indexed job", POD_NAME="train-bert-0-notfive", HOSTNAME="train-bert-0"),
        changed("kubeflow pytorchjob", MASTER_ADDR="localhost", HOSTNAME="notebook"),
        changed("kubeflow pytorchjob", MASTER_ADDR="gpu-worker-0", HOSTNAME="mnist-master-0"),
        changed("kubeflow pytorchjob", KUBERNETES_SERVICE_HOST=None),
        changed("volcano", VC_WORKER_HOSTS="10.0.0.1,10.0.0.2"),
        changed("lsf jsrun", LSB_INTERACTIVE="Y"),
        {"RAY_CLUSTER_NAME": "shared", "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        {"TORCHELASTIC_RUN_ID": "123456789", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"},
    ],
)
def test_what_could_be_another_job_s_name_names_no_run(environ: dict[str, str]) -> None:
    """A shell of a cluster, a name that does not fit its pod, or one that others have too, gives no common id."""
    assert chosen(environ) != chosen(environ)


def test_a_shell_is_no_launcher() -> None:
    """Ranks set by hand have a shell for a parent, from which other runs are started too; a launcher's have not."""
    by_hand = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    assert chosen(by_hand) != chosen(by_hand)
    alone = {**of("deepspeed")[0], "WORLD_SIZE": "1", "LOCAL_SIZE": "1"}
    assert chosen(alone) != chosen(alone)


def test_torchrun_with_one_process_keeps_its_run_over_restarts() -> None:
    """torchrun's folder names the launch even where it started a single process."""
    first, _, restarted, _ = ({**environ, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"} for environ in of("torchrun"))
    assert chosen(first) == chosen(restarted)
    again = {**of("torchrun again")[0], "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    assert chosen(first) != chosen(again)


def test_the_attempt_is_no_part_of_the_id() -> None:
    """A requeued job has another attempt and the same id."""
    before, after = (
        find_place(GROUPS["slurm srun"]["environments"][name], TRAIN) for name in ("rank 3", "rank 3 requeued")
    )
    assert (before.attempt, after.attempt) == ("0.0", "1.0")
    assert before.anchor == after.anchor


def test_project_name_and_number_make_other_runs() -> None:
    """Within one job, another project, another name and another init() are other runs."""
    place = find_place(of("slurm srun")[0], TRAIN)
    keys = [("a", "n", 1), ("b", "n", 1), ("a", "m", 1), ("a", None, 1), (None, "n", 1), ("a", "n", 2), (None, None, 1)]
    assert len({run_id(None, NONE, place, *key).id for key in keys}) == len(keys)


def test_single_processes_of_one_job_differ_by_their_command() -> None:
    """Of the commands of one batch script each is an experiment; ranks of one training may differ in theirs."""
    script, step = of("slurm batch script")[0], of("slurm srun")[0]
    other = TRAIN._replace(argv=("train.py", "--lr", "0.2"))
    assert chosen(script, TRAIN) != chosen(script, other)
    assert chosen(step, TRAIN) == chosen(step, other)


def test_at_a_terminal_the_cluster_does_not_name_the_run() -> None:
    """In a development pod each start by hand is a run of its own, though all ranks of one start still agree."""
    sitting = TRAIN._replace(interactive=True)
    pod = {"WORKLOAD_UID": "8f0c", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert chosen(pod) == chosen(pod)
    assert chosen(pod, sitting) != chosen(pod, sitting)
    first, again = of("torchrun"), of("torchrun again")
    assert len({chosen({**pod, **environ}, sitting) for environ in first}) == 1
    assert chosen({**pod, **first[0]}, sitting) != chosen({**pod, **again[0]}, sitting)
    nodes = of("primus-safe")
    assert chosen(nodes[0], sitting) == chosen(nodes[1], TRAIN)


def test_ranks_that_cannot_agree_are_told() -> None:
    """A rank that shares nothing with the others says so and what to do; rank 0, which often logs alone, is quiet."""
    first, last = of("torchrun two nodes without id")
    assert run_id(None, NONE, find_place(first, TRAIN), None, None, 1).problems == []
    (problem,) = run_id(None, NONE, find_place(last, TRAIN), None, None, 1).problems
    assert "rank 3 of 4" in problem
    assert "WAYSIDE_RUN_ID" in problem


def test_derived_ids_stay_what_they_are() -> None:
    """An upgrade may not rename the runs of jobs that are under way: these ids are for ever."""
    assert chosen(GROUPS["slurm srun"]["environments"]["rank 0"]) == "flagwbh2ffarmrsh"
    assert chosen(GROUPS["indexed job"]["environments"]["pod 0"]) == "6ymeuxpdaw445ufa"
    assert chosen(GROUPS["torchrun two nodes"]["environments"]["rank 0"], name="base") == "efxnr356qp5gdfdp"


def test_an_id_that_was_asked_for_is_taken() -> None:
    """init(id=) goes before the environment, the environment before the job, and empty ones ask for nothing."""
    place = find_place(of("slurm srun")[0], TRAIN)
    settings = read_settings({"WANDB_RUN_ID": "from-wandb"})
    assert run_id("mine", settings, place, None, None, 1) == RunId("mine", [])
    assert run_id(None, settings, place, None, None, 1).id == "from-wandb"
    assert run_id("", read_settings({"WAYSIDE_RUN_ID": "ours", "WANDB_RUN_ID": "x"}), place, None, None, 3).id == "ours"
    assert run_id("", NONE, place, None, None, 1).id == run_id(None, NONE, place, None, None, 1).id


@pytest.mark.parametrize(
    "asked", [*(f"a{letter}b" for letter in REFUSED), "a\nb", "\x00", "x" * (MAX_ID + 1), " a", "..", "\udc80"]
)
def test_an_id_that_wandb_refuses_is_replaced(asked: str) -> None:
    """A refused id gets a stand-in that W&B takes, the same each time, and the user is told both."""
    found = run_id(asked, NONE, Place(), None, None, 1)
    assert found == run_id(asked, NONE, Place(), None, None, 2)
    assert run_id(found.id, NONE, Place(), None, None, 1) == RunId(found.id, [])
    (problem,) = found.problems
    assert found.id in problem
    problem.encode()


def test_the_longest_id_is_taken() -> None:
    """128 characters are an id."""
    assert run_id("x" * MAX_ID, NONE, Place(), None, None, 1).problems == []


@given(st.lists(st.text(alphabet="ab/:\\-. ", min_size=1, max_size=8), min_size=2, max_size=20, unique=True))
def test_stand_ins_are_as_different_as_what_they_stand_for(asked: list[str]) -> None:
    """No two ids become one, replaced or not."""
    found = [run_id(one, NONE, Place(), None, None, 1).id for one in asked]
    assert len(set(found)) == len(asked)


def test_wandb_takes_our_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we call acceptable is accepted by W&B's own check: derived, random and stand-in ids."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = pytest.importorskip("wandb").Settings
    ids = [chosen(of("slurm srun")[0]), chosen({}), run_id("a/b:c;d'e,f?g#h", NONE, Place(), None, None, 1).id]
    for found in ids:
        assert settings(run_id=found).run_id == found


@pytest.mark.parametrize("group", GROUPS)
def test_the_collector_reads_the_record(group: str) -> None:
    """The record's fields are ones the collector reads, with the same values, and nothing that nobody told."""
    for environ in of(group):
        place = find_place(environ, TRAIN._replace(host="a"))
        fields = place.fields()
        session = read_session(msgspec.json.encode({"session": "0" * 32, "run": {"id": "r"}, **fields}))
        assert (session.rank, session.world_size, session.attempt) == (place.rank, place.world_size, place.attempt)
        assert (session.pod.name, session.pod.node) == (place.pod.name, place.pod.node)
        assert session.host == "a"
        assert None not in fields.values()
        assert "anchor" not in fields
        assert "train.py" not in str(fields)


def test_the_workload_is_the_uid_else_the_id() -> None:
    """WORKLOAD_UID, which Lens knows, goes before Primus-SaFE's WORKLOAD_ID."""
    assert find_place({"WORKLOAD_ID": "w", "WORKLOAD_UID": "u"}, TRAIN).workload == "u"
    assert find_place({"WORKLOAD_ID": "w"}, TRAIN).workload == "w"
    assert find_place({}, TRAIN).workload is None


def test_a_caller_may_know_better() -> None:
    """Ranks given by the caller go before torch's, and those before the environment's."""
    environ = of("torchrun")[1]
    assert find_place(environ, TRAIN, rank=5, world_size=8).rank == 5
    told = TRAIN._replace(rank=3, world_size=16)
    place = find_place(of("kubeflow pytorchjob")[1], told)
    assert (place.rank, place.world_size, place.local_world_size) == (3, 16, None)
    assert find_place(environ, told).local_world_size is None
    agreeing = find_place(environ, TRAIN._replace(rank=1, world_size=2))
    assert agreeing.local_world_size == 2


class Distributed(types.SimpleNamespace):
    """Stands in for torch.distributed: the four functions that are asked."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return bool(self.ready)

    def get_rank(self) -> int:
        return 3

    def get_world_size(self) -> int:
        return 4


def test_torch_is_asked_only_once_it_is_initialised() -> None:
    """torch.distributed tells the rank after init_process_group; half-imported or absent it tells nothing."""
    assert look({}, {"torch.distributed": Distributed(ready=True)})[4:6] == (3, 4)
    assert look({}, {"torch.distributed": Distributed(ready=False)})[4:6] == (None, None)
    assert look({}, {"torch.distributed": types.SimpleNamespace()})[4:6] == (None, None)
    assert look({}, {})[4:6] == (None, None)


class Training:
    """Stands in for the context of a Ray Train 2.60 worker: trial ids raise DeprecationWarning as an exception."""

    def get_experiment_name(self) -> str:
        return "run-1"

    def get_world_rank(self) -> int:
        return 1

    def get_world_size(self) -> int:
        return 2

    def get_trial_id(self) -> str:
        raise DeprecationWarning("`get_trial_id` is deprecated")


class Trial:
    """Stands in for the context Ray Tune gives anybody: rank 0 of 1, and names only within a trial."""

    def __init__(self, experiment: str | None, trial: str | None) -> None:
        self.names = (experiment, trial)

    def get_experiment_name(self) -> str | None:
        return self.names[0]

    def get_trial_id(self) -> str | None:
        return self.names[1]

    def get_world_rank(self) -> int:
        return 0


def ray(train: object, tune: object) -> dict[str, object]:
    """Modules whose `get_context` gives these, or raises them."""

    def getter(context: object) -> object:
        def get_context() -> object:
            if isinstance(context, Exception):
                raise context
            return context

        return types.SimpleNamespace(get_context=get_context)

    return {"ray.train": getter(train), "ray.tune": getter(tune)}


def test_rays_workers_are_told_apart_by_training_and_trial() -> None:
    """Workers of one training share a run, trials are runs of their own, and other workers each have a random one."""
    worker, actor = of("ray worker")
    outside = RuntimeError("cannot be used outside of a Ray Train training function")
    in_trial = DeprecationWarning("use ray.tune.get_context")
    training = look(worker, ray(Training(), Trial(None, None)))
    assert (training.rank, training.world_size, training.trial) == (1, 2, "train run-1")
    first = look(worker, ray(in_trial, Trial("exp", "a_0")))
    second = look(worker, ray(in_trial, Trial("exp", "a_1")))
    assert (first.rank, first.trial) == (None, "tune exp a_0")
    plain = look(actor, ray(outside, Trial(None, None)))
    assert plain.trial is None
    workload = {**worker, "WORKLOAD_UID": "8f0c"}
    assert chosen(workload, training) == chosen(workload, training)
    assert len({chosen(workload, here) for here in (training, first, second, plain, plain)}) == 5
    assert find_place(worker, training).launcher == "ray"


def test_looking_at_this_process() -> None:
    """`look` gives this process's own command line, host and parent, and a child of the same parent gives the same."""
    here = look({}, {})
    assert here.argv == tuple(sys.argv)
    assert here.host == os.uname().nodename
    code = "import os; from wayside.identity import look; print(look({}, {}).parent, os.getppid())"
    children = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert children[0] == children[1]
    parent, pid = children[0].rsplit(maxsplit=1)
    assert parent.split()[1] == pid == str(os.getpid())
    assert here.parent != parent


def test_a_terminal_is_interactive_and_a_pipe_is_not() -> None:
    """A person sits at a process whose input is a terminal of a session other than a container's own."""
    code = "from wayside.identity import look; print(look({}, {}).interactive)"
    leader, follower = os.openpty()
    try:
        command = [sys.executable, "-c", code]
        at_terminal = subprocess.run(command, stdin=follower, stdout=subprocess.PIPE, text=True, start_new_session=True)
        in_job = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    finally:
        os.close(leader)
        os.close(follower)
    assert (at_terminal.stdout, in_job.stdout) == ("True\n", "False\n")
    assert look({}, {"ipykernel.kernelapp": None}).interactive
