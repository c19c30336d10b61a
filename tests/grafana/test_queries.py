"""Every query of the dashboards and every series of the rules, asked of a real Prometheus that scrapes a real collector
beside a training of two ranks, with two NVIDIA GPUs by the stand-in for their driver's library.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from e2e.machine import Machine, until
from standins.prometheus_server import Prometheus
from wayside_collector.health import FAMILIES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "wayside" / "files"
DRIVER = ROOT / "tests" / "sources" / "nvml_stand_in.c"

pytestmark = pytest.mark.timeout(240)

RUN = """
import pathlib, sys, time, wayside
with wayside.init(id=sys.argv[1], project="p"):
    step = 0
    while step < 5 or not pathlib.Path(sys.argv[2]).exists():
        row = {"train/loss": 0.5, "eval/loss": 0.75, "lr": 1e-3, "train/grad_norm": 2.0, "tokens_per_second": 1e4}
        wayside.log({**row, "step_time": 0.05, "aux_loss": float("nan")}, step=step)
        step += 1
        time.sleep(0.05)
"""

#: Panels that show 0 where there is nothing to show, as here.
NOTHING = {"Stalled runs", "Idle GPUs", "Points dropped"}

#: What stands on the page from its first event on: the rules say so by `or` and `unless`.
LATER = {f"wayside_{unit}_dropped_total" for unit in ("points", "rows", "events")}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes every second and evaluates the rules; one run is open, with two ranks, and another has ended."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the stand-in for libnvidia-ml.so.1 with")
    machine = Machine(tmp_path_factory.mktemp("grafana"))
    driver = machine.folder / "driver"
    driver.mkdir()
    subprocess.run([compiler, "-shared", "-fPIC", "-o", driver / "libnvidia-ml.so.1", DRIVER], check=True)
    (machine.folder / "control").touch()
    end = machine.folder / "end"
    try:
        collector = machine.collector(
            {
                "sinks": {"prometheus": {}, "jsonl": {}},
                "sources": {"nvidia": {"slow_interval": 1}, "host": {"interval": 1}},
            },
            LD_LIBRARY_PATH=str(driver),
            FAKE_NVML_CONTROL=str(machine.folder / "control"),
            FAKE_NVML_GPUS="2",
        ).wait_ready()
        for rank in ("0", "1"):
            machine.start([sys.executable, "-c", RUN, "open", str(end)], RANK=rank, WORLD_SIZE="2")
        job = {"job_name": "wayside", "scrape_interval": "1s"}
        job |= {"static_configs": [{"targets": [collector.url.removeprefix("http://")]}]}
        rules = [str(path) for path in (CHART / "rules").glob("*.yaml")]
        config = {"global": {"evaluation_interval": "1s"}, "rule_files": rules, "scrape_configs": [job]}
        server = Prometheus(machine, config)
        server.wait("count(wayside_run_last_step{run='open'}) == 2")
        server.wait("wayside_gpu_utilization_ratio")
        (machine.folder / "now").touch()
        over = [sys.executable, "-c", RUN, "over", str(machine.folder / "now")]
        assert machine.run(*over, RANK="0", WORLD_SIZE="1").returncode == 0
        server.wait("wayside_run_end_timestamp_seconds{run='over'}")
        yield server
    finally:
        end.touch()
        machine.close()


@pytest.mark.parametrize("path", sorted((CHART / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_every_query_returns_data(prometheus: Prometheus, path: Path) -> None:
    """Each query of each panel, with all variables at "All", has an answer; each variable has values."""
    tree = json.loads(path.read_text())
    asked = []
    for panel in tree["panels"]:
        for target in panel.get("targets", ()):
            asked.append((panel["title"], re.sub(r"\$(job|run|rank|host)\b", ".*", target["expr"])))
    for variable in tree["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert found, variable["query"]
            asked.append(
                (variable["name"], f"count by ({found[2]}) ({re.sub(r'[$](job|run|rank|host)', '.*', found[1])})")
            )
    assert len(asked) > 8
    for title, query in asked:
        expression = query.replace("$__rate_interval", "15s")
        if title not in NOTHING:
            expression = expression.replace(" or vector(0)", "")
        assert "$" not in expression, f"{title}: a variable that is not known: {query}"
        until(lambda asked=expression: prometheus.ask(asked), f"{title}: {expression}", within=60)


@pytest.mark.parametrize("path", sorted((CHART / "rules").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_series_of_the_rules_is_scraped(prometheus: Prometheus, path: Path) -> None:
    """Each family that a rule names is on a real page, or is one of health's that begin with their first event; what is
    named by a pattern or recorded is found, too.
    """
    for group in yaml.safe_load(path.read_text())["groups"]:
        for rule in group["rules"]:
            for name in set(re.findall(r"\bwayside_[a-z_]+\b(?!\()", re.sub(r'"[^"]*"', "", rule["expr"]))):
                if name in LATER:
                    assert name in FAMILIES
                else:
                    until(lambda asked=name: prometheus.ask(asked), f"{name} of {rule}", within=60)
            if "record" in rule:
                until(lambda asked=rule["record"]: prometheus.ask(asked), str(rule), within=60)


def test_no_rule_has_trouble(prometheus: Prometheus) -> None:
    """Prometheus evaluates all of them without an error, and of a run that is well none but the NaN's alert fires."""

    def firing() -> set[str]:
        groups = prometheus.rules()
        found = [rule for group in groups for rule in group["rules"]]
        assert {rule["health"] for rule in found} <= {"ok"}, [rule for rule in found if rule["health"] != "ok"]
        return {rule["name"] for rule in found if rule.get("state") == "firing"}

    assert until(firing, "an alert", within=60) == {"WaysideNonFiniteLoss"}
