"""Logs under fire: a timer's handler logs and raises at random instants while the main thread and others log.

    python torture.py SEED ROWS THREADS

Run by tests under every supported Python. Prints, as JSON, the marks of rows whose `log()` returned and of those it
was left by an exception; a row's mark is the value of its metric "mark".
"""

import gc
import itertools
import json
import random
import signal
import sys
import threading

import wayside


class Interrupt(Exception):
    """What the handler raises."""


class Dying:
    """Logs when it is collected, which may be anywhere; in a cycle, so that only the collector of garbage finds it."""

    def __init__(self):
        self.self = self

    def __del__(self):
        if not finished:
            log()


marks = itertools.count()
returned, interrupted = [], []
armed = finished = False


def log(extra=None):
    mark = next(marks)
    data = {"mark": float(mark), "a": 0.5, "b": 1.5}
    if extra:
        data[extra] = 2.5
    try:
        wayside.log(data)
    except Interrupt:
        interrupted.append(mark)
        raise
    returned.append(mark)


def handle(number, frame):
    global armed
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(20e-6, 600e-6))
    if chance.random() < 0.4:
        log(chance.choice((None, "c")))
    if armed and chance.random() < 0.6:
        armed = False
        raise Interrupt


def tell(problem):
    """What is raised in `__del__`, which nobody can catch."""
    if not isinstance(problem.exc_value, Interrupt):
        sys.__unraisablehook__(problem)


def work(rows):
    for _ in range(rows):
        log("thread")


chance = random.Random(int(sys.argv[1]))
rows, threads = int(sys.argv[2]), [threading.Thread(target=work, args=(2000,)) for _ in range(int(sys.argv[3]))]
sys.unraisablehook = tell
gc.set_threshold(50)
wayside.init(project="torture", config={"seed": sys.argv[1]})
signal.signal(signal.SIGALRM, handle)
for thread in threads:
    thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.001)
for row in range(rows):
    mark = next(marks)
    try:
        armed = True
        wayside.log({"mark": float(mark), "a": 0.5, "b": row if row % 3 else True}, commit=None if row % 5 else False)
        armed = False
        returned.append(mark)
    except Interrupt:
        interrupted.append(mark)
    if row % 100 == 0:
        Dying()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
armed = False
for thread in threads:
    thread.join()
finished = True
counts = wayside.run._counts()
wayside.finish()
sys.stdout.write(json.dumps({"returned": returned, "interrupted": interrupted, "counts": counts}) + "\n")
