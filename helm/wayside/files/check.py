"""The chart's test: ten rows must be in every sink, and the books must balance, within a minute."""

import json
import os
import sys
import time
import urllib.request

import wayside

ROWS = 10
URL = f"http://localhost:{os.environ['WAYSIDE_PORT']}/status"

with wayside.init(project="helm-test") as run:
    for step in range(ROWS):
        wayside.log({"check": float(step)}, step=step)

until = time.monotonic() + 60
while True:
    with urllib.request.urlopen(URL, timeout=5) as answer:
        status = json.load(answer)
    sinks = status["sinks"].values()
    rows = [sink["rows"] for sink in sinks]
    if rows and all(books["delivered"] >= ROWS and not books["waiting"] for books in rows):
        sys.exit(0)
    if time.monotonic() > until:
        sys.exit(f"the rows did not arrive: {json.dumps(status, indent=2)}")
    time.sleep(0.2)
