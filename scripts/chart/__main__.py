"""Writes the files of the Helm chart that follow from others: `values.schema.json` and `README.md`.

`python scripts/chart` writes them; with `--check` it writes nothing, and fails where one is not what it would write.
"""

import sys
from pathlib import Path

from readme import make_readme
from schema import make_schema

CHART = Path(__file__).parents[2] / "helm" / "wayside"


def main() -> int:
    values = (CHART / "values.yaml").read_text()
    files = {
        "values.schema.json": make_schema((Path(__file__).parent / "values.schema.json").read_text()),
        "README.md": make_readme(values, (Path(__file__).parent / "readme.md").read_text()),
    }
    stale = [name for name, text in files.items() if _read(CHART / name) != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"helm/wayside/{name} is not what follows from its sources: run `python scripts/chart`")
        return 1 if stale else 0
    for name in stale:
        (CHART / name).write_text(files[name])
        print(f"helm/wayside/{name} is written")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


sys.exit(main())
