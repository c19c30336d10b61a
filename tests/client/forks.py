"""Forks workers while other threads log: from the main thread, from a signal's handler, and from a worker.

    python forks.py WORKERS

Run by tests under every supported Python. Prints, as JSON, for each process the marks of its rows whose `log()`
returned; a row's mark is the value of its metric "mark", a process's number that of "who".
"""

import json
import os
import signal
import sys
import threading

import wayside

returned = {}
lock = threading.Lock()
told = [os.pipe()]


def log(who, mark):
    wayside.log({"who": float(who), "mark": float(mark)})
    returned.setdefault(who, []).append(mark)


def work(who, rows, deeper):
    """A worker's life; it leaves as forked workers do, without the functions that run at exit."""
    returned.clear()
    for mark in range(rows):
        log(who, mark)
    if deeper:
        fork(who + 1000, rows, False)
    os.write(told[0][1], json.dumps(returned).encode() + b"\n")
    os._exit(0)


def fork(who, rows=50, deeper=True):
    child = os.fork()
    if child == 0:
        work(who, rows, deeper)
    children.append(child)
    if not deeper:
        os.waitpid(child, 0)


def busy():
    mark = 0
    while not stop.is_set():
        log(1, mark)
        mark += 1


children, stop = [], threading.Event()
wayside.init(project="forks")
thread = threading.Thread(target=busy)
thread.start()
signal.signal(signal.SIGALRM, lambda number, frame: fork(200 + len(children)))
for worker in range(int(sys.argv[1])):
    log(0, 2 * worker)
    if worker % 2:
        signal.raise_signal(signal.SIGALRM)
    else:
        fork(100 + worker)
    log(0, 2 * worker + 1)
for child in children:
    os.waitpid(child, 0)
stop.set()
thread.join()
wayside.finish()
os.close(told[0][1])
with os.fdopen(told[0][0], "rb") as answers:
    for line in answers:
        returned.update({int(who): marks for who, marks in json.loads(line).items()})
sys.stdout.write(json.dumps(returned) + "\n")
