"""Runs by what people remember of them."""

import json
from typing import Any, NamedTuple

from .answers import RunInfo, RunPage, RunQuery, WorkloadInfo, WorkloadPage
from .database import Database

RUN = (
    "SELECT run, id, name, project, entity, run_group, job_type, notes, tags, workload, state, exit_code, started,"
    " active FROM runs"
)
MAX_RUNS = 1000  #: runs of one page


def run_info(row: tuple[Any, ...]) -> tuple[int, RunInfo]:
    """The key and the run, from a row of the query above."""
    fields = dict(zip(RunInfo.__struct_fields__, row[1:], strict=True))
    return row[0], RunInfo(**{**fields, "tags": tuple(json.loads(fields["tags"]))})


class Scope(NamedTuple):
    """Whose runs are seen: those of a namespace, or all."""

    namespace: str | None = None

    @property
    def where(self) -> str:
        """To be put after a condition on `runs`; `values` are its values."""
        return "" if self.namespace is None else " AND namespace = ?"

    @property
    def values(self) -> list[str]:
        return [] if self.namespace is None else [self.namespace]


ALL = Scope()


def find_runs(db: Database, query: RunQuery, limit: int, offset: int, scope: Scope = ALL) -> RunPage:
    """The runs that fit, the one last begun first."""
    where, values = ["kind = 'run'" + scope.where], scope.values
    for column, value in (
        ("project", query.project), ("run_group", query.group), ("workload", query.workload), ("state", query.state),
    ):  # fmt: skip
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if query.text:
        told = " || ' ' || ".join(f"coalesce({column}, '')" for column in ("id", "name", "project", "notes"))
        where.append(f"lower({told}) LIKE ? ESCAPE '!'")
        values.append(pattern(query.text))
    fits = " AND ".join(where)
    sql = f"{RUN} WHERE {fits} ORDER BY started DESC, id"
    begin, most = max(0, offset), max(1, min(limit, MAX_RUNS))
    if not query.tags and not query.config:
        page = db.query(f"{sql} LIMIT ? OFFSET ?", *values, most, begin)
        counted = db.query(f"SELECT count(*) FROM runs WHERE {fits}", *values)
        return RunPage([run_info(row)[1] for row in page], sum(count for (count,) in counted))
    found = [run_info(row) for row in db.query(sql, *values)]
    if query.tags:
        found = [one for one in found if set(query.tags) <= set(one[1].tags)]
    for path, wanted in query.config.items():
        fitting = _with_value(db, path, wanted)
        found = [one for one in found if one[0] in fitting]
    return RunPage([info for _, info in found[begin : begin + most]], len(found))


def pattern(text: str) -> str:
    """For LIKE with `!` as its escape, on a column in lower case: this text stands somewhere in it."""
    text = text.lower()
    for letter in "!%_":
        text = text.replace(letter, "!" + letter)
    return f"%{text}%"


def find_workloads(db: Database, text: str | None, limit: int, offset: int, scope: Scope = ALL) -> WorkloadPage:
    """Workloads with this text in their name, the one whose run began last first."""
    where, values = (" AND lower(workload) LIKE ? ESCAPE '!'", [pattern(text)]) if text else ("", list[str]())
    where, values = where + scope.where, values + scope.values
    sql = (
        "SELECT workload, count(*), min(started), max(active) FROM runs"
        f" WHERE kind = 'run'{where} GROUP BY workload ORDER BY max(started) DESC, workload"
    )
    found = db.query(sql, *values)
    begin = max(0, offset)
    told = []
    for workload, runs, started, active in found[begin : begin + max(1, min(limit, MAX_RUNS))]:
        sql = f"SELECT state FROM runs WHERE workload = ? AND kind = 'run'{scope.where} ORDER BY started DESC, id"
        states = [state for (state,) in db.query(sql, workload, *scope.values)]
        state = "running" if "running" in states else states[0]
        told.append(WorkloadInfo(workload, runs, state, started, active))
    return WorkloadPage(told, len(found))


def _with_value(db: Database, path: str, wanted: Any) -> set[int]:
    """Runs whose config has this value at this path: a key, or keys with dots into nested ones."""
    keys = [path[:place] for place in range(1, len(path) + 1) if place == len(path) or path[place] == "."]
    marks = ", ".join("?" * len(keys))
    sql = f"SELECT run, key, value FROM facts WHERE kind = 'config' AND value IS NOT NULL AND key IN ({marks})"
    found = set()
    for run, key, text in db.query(sql, *keys):
        rest = path[len(key) + 1 :]
        if flatten(json.loads(text), "").get(rest, _NOTHING) == wanted:
            found.add(run)
    return found


_NOTHING = object()


def flatten(value: Any, path: str) -> dict[str, Any]:
    """A value, and all that is in it, by path."""
    found = {path: value}
    if isinstance(value, dict):
        for key, inner in value.items():
            found.update(flatten(inner, f"{path}.{key}" if path else str(key)))
    return found
