"""The main job in one command: a collector, a real training run of two ranks, and the books at the end.

make run              serves the pages until Ctrl-C, which is its ordinary end; before the table is there, exit code 130
make run ONCE=1       exits 0 when everything is delivered, the books balance and the model learned something
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STARTS_WITHIN = 20.0  # seconds
DELIVERED_WITHIN = 60.0  # seconds
ENOUGH = 0.9  # accuracy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="exit when everything is delivered")
    parser.add_argument("--steps", type=int, default=400)
    chosen = parser.parse_args()
    try:
        return run(chosen.steps, once=chosen.once)
    except KeyboardInterrupt:
        print("\nstopped before the end", flush=True)
        return 128 + signal.SIGINT


def run(steps: int, *, once: bool) -> int:
    from wayside_collector.configuration import config  # within reach of the handler of Ctrl-C

    found = config.load(None, config.environment())
    host, port = found.address
    url = f"http://{host}:{port}"
    collector = subprocess.Popen(
        [sys.executable, "-m", "wayside_collector", "run"],
        start_new_session=True,  # Ctrl-C is for us: the collector then gets one orderly SIGTERM
    )
    try:
        wait_until_ready(url, collector)
        accuracy = train(url, steps)
        status, problems = wait_until_delivered(url)
        if accuracy < ENOUGH:
            problems.append(f"accuracy {accuracy:.4f} is under {ENOUGH}")
        report(status, accuracy, problems)
        print(f"\nlook at {url}/ and {url}/metrics; the rows are in {found.dir}/jsonl/", flush=True)
        if not once:
            print("\nserving until Ctrl-C", flush=True)
            problems += serve(collector)
    except OSError as problem:
        sys.exit(f"the collector at {url} answers no more ({problem}); what it said stands above")
    finally:
        stop(collector)
    return 1 if problems else 0


def serve(collector: "subprocess.Popen[bytes]") -> list[str]:
    """Wait for Ctrl-C, which is the ordinary end; any other is a problem."""
    try:
        collector.wait()
    except KeyboardInterrupt:
        print("\nstopping", flush=True)
        return []
    print(f"PROBLEM: the collector ended with exit code {collector.returncode}", flush=True)
    return ["it ended"]


def stop(collector: "subprocess.Popen[bytes]") -> None:
    """In order, or at once when Ctrl-C comes again."""
    collector.send_signal(signal.SIGTERM)
    while collector.returncode is None:
        try:
            collector.wait()
        except KeyboardInterrupt:
            collector.kill()


def wait_until_ready(url: str, collector: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if collector.poll() is not None:
            sys.exit(f"the collector ended with exit code {collector.returncode}; what it said stands above")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1):
                if read_status(url)["pid"] == collector.pid:  # and not of another one that has the port already
                    return
        except (urllib.error.URLError, OSError):
            pass  # not yet
        time.sleep(0.1)
    sys.exit(f"the collector did not answer at {url} within {STARTS_WITHIN:g} seconds")


def train(url: str, steps: int) -> float:
    """Run the training, showing how far it is by what the collector itself tells; returns the accuracy."""
    print(f"training: {steps} steps on 2 ranks", flush=True)
    job = subprocess.Popen(
        [sys.executable, str(HERE / "train_digits.py"), "--steps", str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us here, too
    )
    try:
        output = follow(url, job, steps)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGTERM)
            job.wait()
    found = re.search(r"accuracy ([0-9.]+)", output)
    if job.returncode or not found:
        sys.exit(f"the training failed with exit code {job.returncode}")
    return float(found[1])


def follow(url: str, job: "subprocess.Popen[str]", steps: int) -> str:
    """The training's output, once it is over; shows on the way how far it is."""
    live = sys.stderr.isatty()
    while job.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(0.5 if live else 2.0)
        step, loss = read_metric(url, "wayside_run_last_step"), read_metric(url, "wayside_train_loss")
        if step is not None and loss is not None and job.poll() is None:
            shown = f"training: step {step + 1:.0f} of {steps}, loss {loss:.3f}"
            print(f"\r{shown}" if live else shown, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr, flush=True)
    return job.communicate()[0]


def read_metric(url: str, name: str) -> float | None:
    """A metric of the run's rank 0 as Prometheus would find it; None while it is not there."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        page: str = answer.read().decode()
    found = re.search(rf'^{name}{{[^}}]*run="digits-[^}}]*rank="0"[^}}]*}} (\S+)', page, re.MULTILINE)
    return float(found[1]) if found else None


def read_status(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/status", timeout=5) as answer:
        status: dict[str, Any] = json.load(answer)
    return status


def wait_until_delivered(url: str) -> tuple[dict[str, Any], list[str]]:
    """The status once the run is over and nothing of it waits, and what is wrong with it."""
    until = time.monotonic() + DELIVERED_WITHIN
    while True:
        status = read_status(url)
        running = [session for session in status["sessions"] if session["state"] == "open"]
        waiting = {name: sink["waiting"] for name, sink in status["sinks"].items() if sink["waiting"]}
        if not running and not waiting:
            return status, unbalanced(status)
        if time.monotonic() > until:
            return status, [f"points wait after {DELIVERED_WITHIN:g} s: {waiting}", *unbalanced(status)]
        time.sleep(0.2)


def unbalanced(status: dict[str, Any]) -> list[str]:
    """Sinks whose books do not balance, or that did not receive what was stored."""
    found = []
    for name, sink in status["sinks"].items():
        for unit, books in (("points", sink), ("rows", sink["rows"]), ("events", sink["events"])):
            if books["received"] != books["delivered"] + books["waiting"] + sum(books["dropped"].values()):
                found.append(f"{name}: the books do not balance in {unit}: {books}")
    return found


def report(status: dict[str, Any], accuracy: float, problems: list[str]) -> None:
    from wayside_collector.commands.showing import format_sinks

    stored, lost = status["ingest"]["received_points"], status["ingest"]["lost_points"]
    print(f"\naccuracy {accuracy:.4f}; {stored + lost} points logged, {lost} of them lost by clients\n")
    print(format_sinks(status["sinks"]))
    for problem in problems:
        print(f"PROBLEM: {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
