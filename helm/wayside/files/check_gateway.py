"""The chart's test of the gateway: ten rows are taken with the writer's token, and its store shows their run."""

import json
import os
import pathlib
import ssl
import sys
import time
import urllib.error
import urllib.request

ROWS = 10
RUN = f"helm-test-{time.time_ns():x}"
URL = f"{os.environ['GATEWAY']}/api/v1/runs/{RUN}"
CA = pathlib.Path("/etc/wayside-ca/ca.crt")

words = [line.split() for line in pathlib.Path("/etc/wayside-tokens/tokens").read_text().splitlines()]
token = {line[0]: line[1] for line in words if line and line[0] in ("reader", "writer")}
context = ssl.create_default_context(cafile=CA) if CA.exists() else None


def ask(role, url, body=None):
    request = urllib.request.Request(url, data=body, headers={"Authorization": f"Bearer {token[role]}"})
    if body is not None:
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return json.load(answer)


rows = [{"metrics": {"check": float(step)}, "step": step} for step in range(ROWS)]
taken = ask("writer", f"{URL}/log", json.dumps(rows).encode())
if taken["accepted"] != ROWS:
    sys.exit(f"the gateway took other than {ROWS} rows: {taken}")
ask("writer", f"{URL}/finish", b"{}")
if os.environ["STORE"] != "true" or "reader" not in token:
    sys.exit(0)
until = time.monotonic() + 60
while True:
    try:
        found = ask("reader", f"{os.environ['GATEWAY']}/api/v1/runs/{taken['run']}")
        if (found["step"], found["state"]) == (ROWS - 1, "finished"):
            sys.exit(0)
        problem = f"the store has the run up to step {found['step']}, {found['state']}"
    except urllib.error.HTTPError as answer:
        problem = f"the gateway answers {answer.code}: {answer.read(500)!r}"
    if time.monotonic() > until:
        sys.exit(problem)
    time.sleep(0.2)
