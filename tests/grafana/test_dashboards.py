"""Grafana's dashboards as files: made from their source, read by Grafana's own types, tied to no one installation."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "dashboards"
FILES = sorted((ROOT / "helm" / "wayside" / "files" / "dashboards").glob("*.json"))
UIDS = {"wayside-run", "wayside-hardware", "wayside-fleet", "wayside-health"}

Tree = dict[str, Any]


def panels(tree: Tree) -> list[Tree]:
    return [panel for panel in tree["panels"] if panel["type"] != "row"]


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def tree(request: pytest.FixtureRequest) -> Tree:
    found: Tree = json.loads(request.param.read_text())
    return found


def test_files_follow_from_their_source() -> None:
    """The four files of the chart are what the source says today: their uids, which links lead to, never change."""
    done = make("--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.stem for path in FILES} == UIDS == {json.loads(path.read_text())["uid"] for path in FILES}


def test_grafanas_types_read_them(tree: Tree) -> None:
    """Read and written again by Grafana's own types they are the same: no field is misspelt, and no id is fixed."""
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(tree)))
    assert again == tree
    assert tree.get("id") is None
    assert tree["tags"] == ["wayside"]


def test_every_query_goes_to_the_chosen_source(tree: Tree) -> None:
    """Panels, queries and variables ask `${datasource}`, which is the first variable; no other source is named."""
    first, *others = tree["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    asked = [panel["datasource"] for panel in panels(tree)]
    asked += [target["datasource"] for panel in panels(tree) for target in panel["targets"]]
    asked += [variable["datasource"] for variable in others if variable["type"] == "query"]
    assert {(one["type"], one["uid"]) for one in asked} == {("prometheus", "${datasource}")}


def test_variables_are_chained_and_may_be_all(tree: Tree) -> None:
    """Each variable takes several values or all, asks with those before it, and each that a query uses is there."""
    known = {"datasource", "__rate_interval"}
    for variable in tree["templating"]["list"]:
        if variable["type"] == "query":
            assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
            assert set(re.findall(r"\$(\w+)", variable["query"]["query"])) <= known
        known.add(variable["name"])
    for panel in panels(tree):
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= known, target["expr"]


def test_panels_stand_beside_one_another(tree: Tree) -> None:
    """No two panels overlap, and none is wider than the page."""
    taken: set[tuple[int, int]] = set()
    for panel in tree["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_a_runs_series_lead_to_its_page() -> None:
    """Charts of runs link to the run on the collector's page, whose address is a variable."""
    tree = json.loads((FILES[0].parent / "wayside-run.json").read_text())
    assert "page" in {variable["name"] for variable in tree["templating"]["list"]}
    for panel in panels(tree):
        (link,) = panel["fieldConfig"]["defaults"]["links"]
        assert re.fullmatch(r"\$\{page\}/runs/\$\{__(field\.labels|data\.fields)\.run\}", link["url"]), panel["title"]


def test_the_export_asks_for_its_source(tmp_path: Path) -> None:
    """What goes to grafana.com has the same panels, names its source as an input, and has no variable for it."""
    assert make("--export", str(tmp_path)).returncode == 0
    for path in FILES:
        tree, ours = json.loads((tmp_path / path.name).read_text()), json.loads(path.read_text())
        (asked,) = tree["__inputs"]
        assert (asked["name"], asked["pluginId"]) == ("DS_PROMETHEUS", "prometheus")
        assert "${datasource}" not in json.dumps(tree)
        assert [panel["title"] for panel in tree["panels"]] == [panel["title"] for panel in ours["panels"]]
        assert {panel["datasource"]["uid"] for panel in panels(tree)} == {"${DS_PROMETHEUS}"}
        assert {one["id"] for one in tree["__requires"] if one["type"] == "panel"} == {
            p["type"] for p in tree["panels"]
        }
