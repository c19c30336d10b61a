"""A stand-in for AMD's `primus-lens-wandb-exporter` 0.2.0, as seen on the wire and read in its source: none of the real
one runs here.

What it keeps: urllib with its headers, a patience of 5 s, 200 as the only success, no second try; `json.dumps` as it
is, bare NaN and all; only top-level numbers of a call, a bool as 1.0; step 0 where none was given; queues of 100 and
1000 calls of which a flush takes 10 each, detections one by one, metrics merged under the first one's header; and an
exit that flushes once. Its thread and its clock are the test's: `flush` is what it does every 5 s.
"""

import json
import time
import urllib.request
from collections import deque
from typing import Any

PATIENCE = 5.0
BATCH = 10


class Exporter:
    """One process with the hook. refused: items that were thrown away because the answer was not 200."""

    def __init__(self, base: str, workload: str = "w1", pod: str = "pod-0", pod_uid: str = "") -> None:
        self.base = base
        self.sent = 0
        self.refused = 0
        self.dropped = 0
        self.answers: list[dict[str, Any]] = []
        self._identity = {"workload_uid": workload, "pod_uid": pod_uid, "pod_name": pod}
        self._run = ""
        self._detections: deque[dict[str, Any]] = deque()
        self._metrics: deque[dict[str, Any]] = deque()

    # --- what training code calls -------------------------------------------------------------------------------------

    def init(self, project: str, id: str, name: str = "n", config: dict[str, Any] | None = None) -> None:
        """`wandb.init`."""
        self._run = id
        told = {"project": project, "name": name, "id": id, "config": {**(config or {}), "_wandb": {"v": 1}}}
        evidence = {
            "wandb": {**told, "tags": ["a"]},
            "environment": {"WORKLOAD_UID": self._identity["workload_uid"], "WORLD_SIZE": "8"},
            "pytorch": {"available": True, "version": "2.6.0", "detected_modules": {"megatron": True}},
            "wrapper_frameworks": {"primus": {"detected": True, "version": "1.2.3", "base_framework": "megatron"}},
            "base_frameworks": {"megatron": {"detected": True, "version": "unknown", "initialized": True}},
            "system": {"python_version": "3.11.7 (main, Dec  8 2023) [GCC 12.2.0]", "platform": "linux"},
            "hardware": {"gpu_arch": "mi300", "gpu_count": 8, "gpu_memory_gb": 191.7, "cuda_version": None},
            "software": {"packages": {"torch": "2.6.0", "wandb": "0.31.0"}, "rocm_version": "6.2"},
            "build": {"image_tag": "repo/train:1", "git_commit": "abc123"},
        }
        hints = {
            "wrapper_frameworks": ["primus"],
            "base_frameworks": ["megatron"],
            "possible_frameworks": ["primus", "megatron"],
            "confidence": "high",
            "timestamp": time.time(),
        }
        body = {"source": "wandb", "type": "framework_detection_raw", "version": "1.0", **self._identity}
        body |= {"namespace": "", "evidence": evidence, "hints": hints, "timestamp": time.time()}
        self._queue(self._detections, body, 100)

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        """`wandb.log`."""
        now = time.time()
        metrics = [
            {"name": name, "value": float(value), "step": step or 0, "timestamp": now, "tags": {}}
            for name, value in data.items()
            if isinstance(value, int | float)
        ]
        if metrics:
            item = {"source": "wandb", **self._identity, "run_id": self._run, "timestamp": now, "metrics": metrics}
            self._queue(self._metrics, item, 1000)

    def _queue(self, queue: deque[dict[str, Any]], item: dict[str, Any], limit: int) -> None:
        if len(queue) >= limit:
            self.dropped += 1
        else:
            queue.append(item)

    # --- what its thread does -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """What it does every 5 s, and once at exit."""
        for _ in range(min(BATCH, len(self._detections))):
            self._post("/wandb/detection", self._detections.popleft(), 1)
        items = [self._metrics.popleft() for _ in range(min(BATCH, len(self._metrics)))]
        if items:
            merged = items[0]
            if len(items) > 1:
                points = [point for item in items for point in item["metrics"]]
                merged = {**items[0], "timestamp": time.time(), "metrics": points}
            self._post("/wandb/metrics", merged, len(items))

    def flush_all(self) -> None:
        """As many times as it takes: a process that lives long enough."""
        while self._detections or self._metrics:
            self.flush()

    def _post(self, path: str, body: dict[str, Any], items: int) -> None:
        request = urllib.request.Request(
            self.base + path,
            data=json.dumps(body).encode("utf-8"),
            headers={"Content-Type": "application/json", "User-Agent": "Primus-Lens-WandB-Exporter/1.0"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                if answer.status != 200:
                    self.refused += items
                    return
                self.answers.append(json.load(answer))
        except (OSError, ValueError):
            self.refused += items
            return
        self.sent += items
