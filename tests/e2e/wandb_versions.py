"""wandb as it was: the last release of every minor version the hook is for, each with what was current then."""

import sys
from pathlib import Path

from frameworks.environments import environment

INSTALLED = "0.31.0"  #: ours
OLDEST, MIDDLE = "0.13.0", "0.19.11"

#: A release, and a day soon after it: its dependencies are as they were then.
RELEASES = {
    OLDEST: "2023-03-20",
    "0.13.11": "2023-03-20",
    "0.14.2": "2023-04-20",
    "0.15.12": "2023-10-20",
    "0.16.6": "2024-04-20",
    "0.17.9": "2024-09-20",
    "0.18.7": "2024-11-30",
    MIDDLE: "2025-05-20",
    "0.20.1": "2025-06-20",
    "0.21.4": "2025-09-30",
    "0.22.3": "2025-11-10",
    "0.23.1": "2025-12-20",
    "0.24.2": "2026-02-20",
    "0.25.1": "2026-03-20",
    "0.26.1": "2026-05-10",
    "0.27.2": "2026-06-20",
    "0.28.2": "2026-08-20",
    "0.29.0": "2026-09-05",
    "0.30.0": "2026-09-20",
}
SOURCES = ["--no-binary", "pathtools", "--no-binary", "promise"]  #: of these there never were wheels


def python_with(version: str) -> Path:
    """A Python that has this wandb."""
    if version == INSTALLED:
        return Path(sys.executable)
    return environment(f"wandb-{version}", [f"wandb=={version}"], before=RELEASES[version], options=SOURCES)
