"""Media as events, and where a sink in a test finds their files."""

import base64
import dataclasses
from pathlib import Path
from typing import Any

from standins.wandb_pump import MiniPump
from wayside.row import MEDIA, Event
from wayside_collector.sinks.base import Step
from wayside_collector.testing import make_event

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


def inline(data: bytes, format: str, **fields: Any) -> dict[str, Any]:
    return {"format": format, "base64": base64.b64encode(data).decode(), "size": len(data), **fields}


def media(seq: int, name: str, step: int | None = 10, **data: Any) -> Event:
    return make_event(MEDIA, {"name": name, **data}, seq=seq, step=step, time=1e9)


def row(seq: int, step: int) -> Step:
    return Step((seq,), 1e9, 1e9, step, {"loss": 0.5}, 1, False)


def holding(pump: MiniPump, tmp_path: Path) -> Path:
    """The folder in which the sink finds the files of events from now on."""
    folder = tmp_path / "spool-media"
    folder.mkdir(exist_ok=True)
    tools = pump.sink._tools
    tools.context = dataclasses.replace(tools.context, media=lambda name: folder / name)
    return folder
