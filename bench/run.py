"""Every number of docs/performance.md, each beside its peer's, in one run.

make bench
python bench/run.py log start         only these
"""

import sys
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

BENCHES = (
    *("start", "log", "hook", "frozen", "visible", "ingest", "backlog", "scrape", "scan"),
    *("store", "export", "page", "gateway", "gpu"),
)


def main() -> None:
    for name in sys.argv[1:] or BENCHES:
        began = time.monotonic()
        print(f"\n== {name}", flush=True)
        import_module(f"bench.{name}").main()
        print(f"   ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
