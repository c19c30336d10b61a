"""The rendered pod's life, its containers started as processes: rows arrive, whatever happens to the collector."""

import json
import re
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from deploy.charts import Rendered, Values, render
from deploy.processes import FACTS, WITHIN, Pod, pod

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

STEPS = 50


def values(steps: int = STEPS, pause: float = 0.0, **collector: Any) -> Values:
    """The chart's example, short, with files to look at."""
    sinks = {"jsonl": {"max_size": "1MiB", "max_files": 4}, "prometheus": {}}
    env = [{"name": "STEPS", "value": str(steps)}, {"name": "PAUSE", "value": str(pause)}]
    return {
        "collector": {"config": {"sinks": sinks, "sources": {"host": {}}}, **collector},
        "job": {"env": env},
        "data": {"sizeLimit": "8Gi"},
    }


def files(found: Rendered) -> dict[str, str]:
    config = next(one for one in found.of("ConfigMap") if "wayside.yaml" in one["data"])
    data: dict[str, str] = config["data"]
    return data


def rows(made: Pod) -> list[dict[str, Any]]:
    """The training's rows, as the jsonl sink wrote them."""
    lines = []
    for file in sorted(made.folders["/var/lib/wayside"].glob("jsonl/*.jsonl")):
        lines += [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if "train/loss" in line.get("metrics", ())]


def wait_for_rows(made: Pod, count: int) -> None:
    until = time.monotonic() + WITHIN
    while len(rows(made)) < count:
        assert time.monotonic() < until, f"{len(rows(made))} of {count} rows: {made.said('wayside')}"
        time.sleep(0.05)


def steps(made: Pod) -> list[int]:
    return [row["step"] for row in rows(made)]


def test_rows_arrive(helm: Path, tmp_path: Path) -> None:
    """From start to end: the collector is ready, the training ends well, every row is in the file once, in order, and
    the collector ends well when it is told to.
    """
    found = render(helm, values())
    with pod(found.pod, files(found), tmp_path) as made:
        assert made.run() == 0, made.said("trainer")
        assert made.url in made.said("trainer"), "the training has not met the collector"
        wait_for_rows(made, STEPS)
        assert made.probe(found.collector, "livenessProbe")
        assert made.probe(found.collector, "readinessProbe")
        assert made.end("wayside") == 0
        assert steps(made) == list(range(STEPS))
        assert len({row["run"] for row in rows(made)}) == 1


def test_rows_of_another_image_arrive(helm: Path, tmp_path: Path) -> None:
    """An image that knows nothing of the collector is told by the pod alone where to find it."""
    script = f"import wayside\nfor n in range({STEPS}): n or wayside.init(); wayside.log({{'train/loss': 1.0}}, step=n)"
    job = {"image": {"repository": "registry.example/train"}, "command": ["python", "-c", script]}
    found = render(helm, {**values(), "job": job})
    with pod(found.pod, files(found), tmp_path) as made:
        assert made.run() == 0, made.said("trainer")
        assert made.url in made.said("trainer"), "the training has not met the collector"
        wait_for_rows(made, STEPS)
        assert steps(made) == list(range(STEPS))


def test_everybody_knows_where_they_are(helm: Path, tmp_path: Path) -> None:
    """Pod, namespace, node and the Job's uid come by the environment, through the client, to the page of metrics."""
    found = render(helm, values())
    with pod(found.pod, files(found), tmp_path) as made:
        assert made.run() == 0, made.said("trainer")
        wait_for_rows(made, STEPS)
        with urllib.request.urlopen(f"{made.url}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        (info,) = [line for line in page.splitlines() if line.startswith("wayside_run_info{")]
        told = dict(re.findall(r'(\w+)="([^"]*)"', info))
        assert told["workload"] == FACTS["metadata.labels['batch.kubernetes.io/controller-uid']"]
        assert told["pod"] == FACTS["metadata.name"]
        assert told["namespace"] == FACTS["metadata.namespace"]
        assert told["node"] == FACTS["spec.nodeName"]


def test_a_restart_of_the_job_is_the_same_run(helm: Path, tmp_path: Path) -> None:
    """Another pod of the same Job logs into the same run: the Job's uid names it."""
    found = render(helm, values())
    runs = set()
    for number in ("first", "second"):
        (tmp_path / number).mkdir()
        with pod(found.pod, files(found), tmp_path / number) as made:
            assert made.run() == 0, made.said("trainer")
            wait_for_rows(made, STEPS)
            runs |= {row["run"] for row in rows(made)}
    assert len(runs) == 1


def test_a_collector_that_is_killed_starts_again(helm: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the training, a new one in the same folders: every row arrives, once."""
    found = render(helm, values(steps=200, pause=0.01))
    with pod(found.pod, files(found), tmp_path) as made:
        made.start(found.collector)
        made.wait_for_probe(found.collector, "startupProbe")
        trainer = made.start(found.trainer)
        wait_for_rows(made, 20)
        made.end("wayside", signal.SIGKILL)
        assert trainer.poll() is None, "the training was over before the collector was killed"
        (made.folders["/run/wayside"] / "collector.json").unlink()
        made.start(found.collector)
        assert trainer.wait(WITHIN) == 0, made.said("trainer")
        made.wait_for_probe(found.collector, "livenessProbe")
        wait_for_rows(made, 200)
        assert made.end("wayside") == 0
        assert steps(made) == list(range(200))


def test_training_does_not_wait_where_it_was_told_not_to(helm: Path, tmp_path: Path) -> None:
    """Without a startup probe the training runs while no collector is there yet; its rows arrive afterwards."""
    found = render(helm, values(waitUntilReady=False))
    with pod(found.pod, files(found), tmp_path) as made:
        assert made.start(found.trainer).wait(WITHIN) == 0, made.said("trainer")
        assert rows(made) == []
        made.start(found.collector)
        wait_for_rows(made, STEPS)
        assert steps(made) == list(range(STEPS))


def test_a_wrong_configuration_is_told_and_starts_nothing(helm: Path, tmp_path: Path) -> None:
    """The collector ends with what is wrong, by its path, and so its startup probe never lets the training begin."""
    wrong = {"sinks": {"lens": {}}}
    found = render(helm, {"collector": {"config": wrong}})
    with pod(found.pod, files(found), tmp_path) as made:
        assert made.start(found.collector).wait(WITHIN) == 2
        assert "sinks.lens.endpoint (line " in made.said("wayside")
        assert not made.probe(found.collector, "startupProbe")


def test_turned_off_nothing_is_kept(helm: Path, tmp_path: Path) -> None:
    """Without a collector the same training runs, says nothing, and leaves no file."""
    found = render(helm, {**values(), "collector": {"enabled": False}})
    with pod(found.pod, {}, tmp_path) as made:
        assert made.run() == 0, made.said("trainer")
        assert made.said("trainer") == ""
        assert list(made.folders["/var/lib/wayside"].iterdir()) == []
        assert list(made.folders["/run/wayside"].iterdir()) == []


def test_the_chart_s_own_test_passes(helm: Path, tmp_path: Path) -> None:
    """The pod of `helm test` checks the configuration, sees its rows delivered, and ends with 0."""
    found = render(helm, values())
    (test,) = found.of("Pod")
    with pod(test["spec"], files(found), tmp_path, labels=False) as made:
        assert made.run() == 0, made.said("rows")
        assert "is right: sinks" in made.said("check")
        assert rows(made) == []


def test_the_chart_s_own_test_can_fail(helm: Path, tmp_path: Path) -> None:
    """It fails when the configuration is wrong."""
    found = render(helm, {"collector": {"config": {"sinks": {"lens": {}}}}})
    (test,) = found.of("Pod")
    with (
        pod(test["spec"], files(found), tmp_path, labels=False) as made,
        pytest.raises(AssertionError, match="check ended with 2"),
    ):
        made.run()
