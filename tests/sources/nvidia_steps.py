"""Drives one NVIDIA sampler through steps read from standard input, and prints what each sample gave, as JSON.

Run as a process of its own, since the library that pynvml loads, here a stand-in, can be neither exchanged nor let go.
Steps: `["open"]`, `["sample"]`, `["close"]`, `["forward", seconds]` on the sampler's clock, `["control", text]` for the
stand-in's control file.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from wayside_collector.sources.base import Unavailable
from wayside_collector.sources.nvidia import NvidiaOptions, NvidiaSampler
from wayside_collector.testing import FakeClock


def main() -> None:
    asked = json.load(sys.stdin)
    clock = FakeClock(1000.0)
    sampler = NvidiaSampler(msgspec.convert(asked["options"], NvidiaOptions), clock=clock)
    results: list[dict[str, Any]] = []
    for step, *arguments in asked["steps"]:
        try:
            if step == "open":
                sampler.open()
            elif step == "close":
                sampler.close()
            elif step == "forward":
                clock.forward(arguments[0])
            elif step == "control":
                Path(os.environ["FAKE_NVML_CONTROL"]).write_text(arguments[0])
            else:
                results.append(msgspec.to_builtins(sampler.sample()))
        except Unavailable as reason:
            results.append({"unavailable": str(reason)})
    json.dump(results, sys.stdout)


main()
