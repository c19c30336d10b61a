"""Wrong values are refused with a sentence that names them; values, schema and page tell of the same ones."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import CHART, ROOT, Values, refusal, render

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

VALUES: Values = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


def config(**tree: Any) -> Values:
    return {"collector": {"config": tree}}


REFUSED: dict[str, tuple[Values, str]] = {
    "misspelt": ({"colector": {}}, "(root): Additional property colector is not allowed"),
    "misspelt within": ({"collector": {"enable": True}}, "collector: Additional property enable is not allowed"),
    "not a boolean": ({"collector": {"enabled": "no"}}, "collector.enabled: Invalid type. Expected: boolean"),
    "no port": ({"collector": {"port": 0}}, "collector.port: Must be greater than or equal to 1"),
    "no such way": ({"scrape": {"by": "push"}}, "scrape.by must be one of the following"),
    "an interval without unit": ({"scrape": {"interval": "15"}}, "scrape.interval: Does not match pattern"),
    "a size Kubernetes reads otherwise": ({"socket": {"sizeLimit": "128m"}}, "socket.sizeLimit: Does not match"),
    "no size": (config(spool={"max_size": "1 Gigabyte"}), "collector.config.spool.max_size: Does not match pattern"),
    "no parallelism": ({"job": {"parallelism": 0}}, "job.parallelism: Must be greater than or equal to 1"),
    "a command as text": ({"job": {"command": "python train.py"}}, "job.command: Invalid type. Expected: array"),
    "a number as text": ({"podLabels": {"team": 1}}, "podLabels.team: Invalid type. Expected: string"),
    "a name too long": ({"fullnameOverride": "x" * 54}, "fullnameOverride: String length must be less than"),
    "no name": ({"fullnameOverride": "Mine"}, "fullnameOverride: Does not match pattern"),
    "no digest": ({"image": {"digest": "sha256:12"}}, "image.digest: Does not match pattern"),
    "a sink that is text": (config(sinks={"wandb": "yes"}), "collector.config.sinks.wandb: Invalid type"),
    "the chart's listen": (config(listen="127.0.0.1:1"), "collector.config.listen: the chart sets it"),
    "the chart's listen_public": (config(listen_public="[::]:1"), "collector.config.listen_public: the chart sets it"),
    "the chart's socket": (config(socket="/tmp/s"), "collector.config.socket: the chart sets it"),
    "the chart's dir": (config(dir="/tmp"), "collector.config.dir: the chart sets it"),
    "longer than the pod": (config(grace="1m"), "grace: 60 seconds must be less than terminationGracePeriodSeconds"),
    "less than the spool": (
        {**config(spool={"max_size": "2GiB"}), "data": {"sizeLimit": "2Gi"}},
        "data.sizeLimit: 2Gi is less than collector.config lets the collector keep, 5376Mi",
    ),
    "less than files": (
        {**config(sinks={"old": {"kind": "jsonl"}}), "data": {"sizeLimit": "4Gi"}},
        "data.sizeLimit: 4Gi is less",
    ),
    "less than W&B's files": ({**config(sinks={"wandb": {}}), "data": {"sizeLimit": "4Gi"}}, "data.sizeLimit: 4Gi"),
    "a key": (config(sinks={"wandb": {"api_key": "s3cret"}}), "sinks.wandb.api_key: a ConfigMap is no place for a key"),
    "a header": (
        config(sinks={"lens": {"endpoint": "http://l", "headers": {"Authorization": "s3cret"}}}),
        "sinks.lens.headers.Authorization: a ConfigMap is no place for it",
    ),
    "a password in a proxy": (
        config(sinks={"wandb": {"proxy": "http://me:s3cret@proxy"}}),
        "sinks.wandb.proxy: a ConfigMap is no place for a password; name a Secret in collector.secrets",
    ),
    "a password in an address": (
        config(sinks={"lens": {"endpoint": "https://me:s3cret@lens/v1"}}),
        "sinks.lens.endpoint: a ConfigMap is no place for a password",
    ),
    "a password in a database's address": (
        config(sinks={"store": {"url": "postgresql://me:s3cret@db/metrics"}}),
        "sinks.store.url: a ConfigMap is no place for a password",
    ),
    "a key in plain sight": (
        {"collector": {"extraEnv": [{"name": "WANDB_API_KEY", "value": "s3cret"}]}},
        "the value of WANDB_API_KEY would stand in the pod for everyone to read",
    ),
}


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_wrong_values_are_refused(helm: Path, name: str) -> None:
    """Helm refuses the value, names its path, and never repeats what may be a secret."""
    values, sentence = REFUSED[name]
    said = refusal(helm, values)
    assert sentence in said
    assert "s3cret" not in said


def test_nothing_is_checked_that_is_turned_off(helm: Path) -> None:
    """With collector.enabled false a wrong configuration stops no Job."""
    values = {"collector": {"enabled": False, "config": {"dir": "/tmp"}}}
    assert "initContainers" not in render(helm, values).pod


def paths(tree: Values, before: str = "") -> Iterator[str]:
    for key, value in tree.items():
        path = f"{before}{key}"
        yield path
        if isinstance(value, dict) and path not in FREE:
            yield from paths(value, f"{path}.")


def schema_paths(schema: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        path = f"{before}{key}"
        yield path
        if path not in FREE:
            yield from schema_paths(inner, f"{path}.")


#: Trees whose insides are the collector's or Kubernetes's own.
FREE = {
    *(f"{part}.{name}" for part in ("collector", "gateway", "node") for name in ("config", "resources")),
    "collector.securityContext",
    "dashboards.labels",
    "injection.clientResources",
    "injection.webhook.resources",
    "job.securityContext",
    "podSecurityContext",
}


def test_values_and_schema_know_the_same() -> None:
    """Every value has a default, and every default a schema; only `global` is there for other charts."""
    assert set(paths(VALUES)) == set(schema_paths(SCHEMA)) - {"global"}


def test_every_folder_of_values_is_closed() -> None:
    """Where the chart reads values, a misspelt one is refused: each such object takes no further names."""

    def objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if "properties" in schema and path not in FREE:
            yield path, schema
            for key, inner in schema["properties"].items():
                yield from objects(inner, f"{path}.{key}".strip("."))

    assert [path for path, schema in objects(SCHEMA, "") if schema.get("additionalProperties") is not False] == []


def test_every_value_of_the_top_is_explained() -> None:
    """In values.yaml a comment stands above each value of the first level, or above the group it stands in."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        key = re.match(r"([a-zA-Z]+):", line)
        if key is None:
            continue
        above = number - 1
        while above >= 0 and lines[above] and not lines[above].startswith("#"):
            above -= 1
        assert above >= 0, key[1]
        assert lines[above].startswith("#"), f"{key[1]} has no comment in its group"


def test_the_page_names_only_values_there_are() -> None:
    """Each value that docs/kubernetes.md sets or names is one of the chart's."""
    known = set(paths(VALUES))
    named = {found[1] for found in re.finditer(r"--set(?:-string|-json)? '?([a-zA-Z.]+)", PAGE)}
    groups = "|".join(name for name, value in VALUES.items() if isinstance(value, dict))
    named |= {found[1] for found in re.finditer(rf"`((?:{groups})\.[a-zA-Z.]+)", PAGE)}
    assert named
    for name in named:
        assert name in known or any(name.startswith(f"{free}.") for free in FREE), name


def test_the_page_s_values_render(helm: Path) -> None:
    """Each block of values on the page renders."""
    blocks = re.findall(r"```yaml\n# values.yaml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        render(helm, yaml.safe_load(block), base={})


def test_schema_and_readme_follow_from_their_sources() -> None:
    """values.schema.json is what the options' structs say today, and the chart's README what values.yaml says."""
    done = subprocess.run([sys.executable, ROOT / "scripts" / "chart", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
