"""What lies in the SDK's `.wandb` files, read back by the SDK's own messages."""

import json
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb
from wayside_collector.sinks.wandb.transaction_log import Log


def history(path: Path, run: str) -> list[dict[str, Any]]:
    """The rows of a file, if it is of this run."""
    rows: list[dict[str, Any]] = []
    for raw in Log().feed(path.read_bytes()):
        record = pb.Record()
        record.ParseFromString(raw)
        kind = record.WhichOneof("record_type")
        if kind == "run" and record.run.run_id != run:
            return []
        if kind == "history":
            items = record.history.item
            rows.append({".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items})
    return rows
