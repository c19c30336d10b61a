"""Who has spoken: sessions and runs, and which of a session's seqs are stored."""

import json
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from wayside.row import FINISH, Event

from ..session import Session
from .blocks import unpack_axes
from .database import Database
from .facts import Speaker
from .texts import clean, key_text, to_json

MAX_TIME = 1e11  #: Unix seconds; beyond the year 5138 a clock is wrong, or somebody sends milliseconds


class Entry(NamedTuple):
    """A session as the store knows it. floor: every seq below it counts as stored. next_seq: none from it on is.
    new: it was not known before.
    """

    session: int
    run: int
    floor: int
    next_seq: int
    new: bool = False


def is_time(value: float) -> bool:
    return abs(value) < MAX_TIME


def speaker(entry: Entry, session: Session) -> Speaker:
    return Speaker(entry.run, session.id, rank_of(session))


def rank_of(session: Session) -> int:
    """Who speaks for a run first: a process without rank, then the lowest."""
    return -1 if session.rank is None else session.rank


def run_id_of(session: Session) -> str:
    return key_text(f"system/{session.id}" if session.kind == "system" else session.run.id)


def workload_of(session: Session) -> str:
    """The job as the cluster knows it; else the pod; else the run itself."""
    return key_text(session.workload or session.pod.name or session.run.id)


def enter(db: Database, session: Session, now: float) -> Entry:
    """The session's entry, made if need be; of its run, too."""
    found = db.query("SELECT session, run, floor, next_seq FROM sessions WHERE id = ?", key_text(session.id))
    if found:
        return Entry(*found[0])
    run = _enter_run(db, session, now)
    forgotten = db.query("SELECT next_seq FROM forgotten WHERE session = ?", key_text(session.id))
    floor = forgotten[0][0] if forgotten else 0
    key = db.query("SELECT coalesce(max(session), 0) + 1 FROM sessions")[0][0]
    db.run(
        "INSERT INTO sessions (session, run, id, kind, rank, host, started, active, finished, exit_code, floor,"
        " next_seq, rows, points, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?, 0, 0, ?)",
        key, run, key_text(session.id), session.kind, session.rank, clean(session.host), _started(session),
        _started(session), floor, floor, to_json(msgspec.to_builtins(session)),
    )  # fmt: skip
    return Entry(key, run, floor, floor, new=True)


def _started(session: Session) -> float:
    return session.started if is_time(session.started) else 0.0


def _enter_run(db: Database, session: Session, now: float) -> int:
    """The run's key. What the run is called is what its leader calls it: of the lowest rank's sessions the first. Each
    sampler session is a run of its own, or a fleet's would be one run without end. A run with a namespace's id is that
    namespace's from its first word on, though somebody without one wrote to it before.
    """
    run, id = session.run, run_id_of(session)
    leader = json.dumps([f"{rank_of(session) + 1:010d}", f"{_started(session):017.6f}", key_text(session.id)])
    found = db.query("SELECT run, leader FROM runs WHERE id = ?", id)
    if not found:
        key = db.query("SELECT coalesce(max(run), 0) + 1 FROM runs")[0][0]
        db.run(
            "INSERT INTO runs"
            " (run, id, kind, tags, workload, leader, state, started, active, touched, series, namespace)"
            " VALUES (?, ?, ?, '[]', ?, ?, 'running', ?, ?, ?, 0, ?)",
            key, id, session.kind, id, leader, _started(session), _started(session), now, session.namespace or "",
        )  # fmt: skip
    else:
        key, known = found[0]
        db.run("UPDATE runs SET started = ? WHERE run = ? AND started > ?", _started(session), key, _started(session))
        if session.namespace:
            db.run("UPDATE runs SET namespace = ? WHERE run = ? AND namespace = ''", session.namespace, key)
        if known <= leader:
            return int(key)
    texts = (run.name, run.project, run.entity, run.group, run.job_type, run.notes)
    db.run(
        "UPDATE runs SET name = ?, project = ?, entity = ?, run_group = ?, job_type = ?, notes = ?, tags = ?,"
        " workload = ?, leader = ? WHERE run = ?",
        *(None if text is None else clean(text) for text in texts),
        clean(json.dumps(run.tags, ensure_ascii=False)), workload_of(session), leader, key,
    )  # fmt: skip
    return int(key)


def stored_seqs(db: Database, entry: Entry, first: int, last: int) -> set[int]:
    """Which seqs from first to last are stored. Where the points of a block are gone, all that it spanned."""
    found = set(range(first, min(last + 1, entry.floor)))
    bounds = (entry.session, first, last)
    where = " WHERE t.session = ? AND x.seq BETWEEN ? AND ?"
    rows = db.query("SELECT x.seq FROM streams t JOIN tail x ON x.stream = t.stream" + where, *bounds)
    rows += db.query("SELECT x.seq FROM events x WHERE x.session = ? AND x.seq BETWEEN ? AND ?", *bounds)
    found.update(seq for (seq,) in rows)
    blocks = db.query(
        "SELECT p.first_seq, p.last_seq, b.data FROM streams t JOIN spans p ON p.stream = t.stream AND p.level = 0"
        " AND p.last_seq >= ? AND p.first_seq <= ? LEFT JOIN blocks b ON b.series = -p.stream AND b.number = p.number"
        " AND b.period = p.period WHERE t.session = ?",
        first, last, entry.session,
    )  # fmt: skip
    for low, high, data in blocks:
        found.update(range(low, high + 1) if data is None else unpack_axes(data).seqs)
    return found


def take_finish(db: Database, entry: Entry, events: Iterable[Event]) -> bool:
    """Note a session's end; whether there is one among these events. An end that tells its exit code counts more than
    one that was noted by the collector, which knows none.
    """
    ends = [event for event in events if event.kind == FINISH]
    for event in ends:
        code = event.data.get("exit_code")
        if isinstance(code, bool) or not isinstance(code, int) or abs(code) >= 1 << 31:
            code = None
        better = "exit_code IS NULL OR finished <= ?" if code is not None else "exit_code IS NULL AND finished <= ?"
        db.run(
            f"UPDATE sessions SET finished = ?, exit_code = ? WHERE session = ? AND (finished IS NULL OR {better})",
            event.time, code, entry.session, event.time,
        )  # fmt: skip
    return bool(ends)


def settle_run(db: Database, run: int) -> None:
    """The run's state: of each rank its latest session counts. running: one of them has no end; failed: one ended with
    another code than 0; crashed: one ended without any; else finished. Of two that started together the later goes on
    where the other was given up.
    """
    sql = "SELECT rank, finished, exit_code FROM sessions WHERE run = ? AND kind = 'run' ORDER BY started, session"
    latest = {rank: (finished, code) for rank, finished, code in db.query(sql, run)}
    codes = [code for _, code in latest.values()]
    bad = next((code for code in codes if code), None)
    if not latest or any(finished is None for finished, _ in latest.values()):
        state = "running"
    elif bad is not None:
        state = "failed"
    else:
        state = "crashed" if None in codes else "finished"
    code = bad if state == "failed" else (0 if state == "finished" else None)
    db.run("UPDATE runs SET state = ?, exit_code = ? WHERE run = ?", state, code, run)
