"""Writes Grafana's dashboards, which the Helm chart carries, from their one source (`trainings.py`, `machines.py`).

`python scripts/dashboards` writes them; with `--check` it writes nothing, and fails where one is not what it would
write; with `--export FOLDER` it writes them as grafana.com takes them, which asks for the data source on import.
"""

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from machines import HARDWARE, HEALTH
from parts import Board, Source, build
from trainings import FLEET, RUN

CHART = Path(__file__).parents[2] / "helm" / "wayside" / "files" / "dashboards"
BOARDS = (RUN, HARDWARE, FLEET, HEALTH)
VARIABLE = Source("${datasource}")
INPUT = Source("${DS_PROMETHEUS}")


def text_of(board: Board, source: Source) -> str:
    return JSONEncoder(sort_keys=True, indent=1).encode(build(board, source)) + "\n"


def export_of(board: Board) -> str:
    """A board for grafana.com: its data source is an input, and no variable."""
    tree: dict[str, Any] = json.loads(text_of(board, INPUT))
    tree["__inputs"] = [
        {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus"}
    ]
    tree["__requires"] = [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.1.0"},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *(
            {"type": "panel", "id": kind, "name": kind, "version": ""}
            for kind in sorted({panel["type"] for panel in tree["panels"]})
        ),
    ]
    return json.dumps(tree, sort_keys=True, indent=1) + "\n"


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--export"] and len(arguments) == 2:
        folder = Path(arguments[1])
        folder.mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            (folder / f"{board.uid}.json").write_text(export_of(board))
        return 0
    files = {CHART / f"{board.uid}.json": text_of(board, VARIABLE) for board in BOARDS}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in CHART.glob("*.json") if path not in files]
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.name} is not what follows from scripts/dashboards: run `python scripts/dashboards`")
        return 1 if stale else 0
    CHART.mkdir(parents=True, exist_ok=True)
    for path in stale:
        if path in files:
            path.write_text(files[path])
        else:
            path.unlink()
        print(f"{path.name} is {'written' if path in files else 'removed'}")
    return 0


sys.exit(main())
