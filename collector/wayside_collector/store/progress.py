"""How far runs have come: their last step, the last value of what is most likely their loss, and of all else."""

import msgspec
from wayside.row import DETECTION

from .answers import LastPoint, LossInfo, RunInfo, RunProgress
from .catalog import find, stats
from .database import Database
from .facts import read
from .finding import ALL, Scope
from .stats import together

NEWEST = 256  #: stretches among which the last step is: of steps without any rule there may be a million stretches
_BEST_KNOWN = ("loss", "lmloss", "trainloss", "actorloss")  # plain names, the likeliest first: as AMD's SaFE chooses
_PLAIN = str.maketrans("", "", "/_- ")


def progress(db: Database, run: int, info: RunInfo) -> RunProgress:
    """A run by its key, and what is known of it."""
    newest = "SELECT last FROM strides WHERE run = ? ORDER BY first DESC LIMIT ?"
    step = db.query(f"SELECT max(last) FROM ({newest}) AS newest", run, NEWEST)[0][0]
    known = msgspec.structs.asdict(info)
    return RunProgress(**known, step=step, last_loss=_last_loss(db, run), framework=_framework(db, run))


def _framework(db: Database, run: int) -> str | None:
    """As it was detected, unless that is a mere guess."""
    told = read(db, run, DETECTION)
    if told.get("confidence") not in ("high", "medium"):
        return None
    names = [name for name in (told.get("framework"), told.get("base_framework")) if isinstance(name, str) and name]
    return " + ".join(dict.fromkeys(names)) or None


def latest(db: Database, run: int) -> dict[str, LastPoint]:
    """The last point of each metric of the rank that speaks for the run, by name."""
    own = {key: some for key, some in find(db, run).items() if key.kind == "run"}
    lowest = min((key.order[2] for key in own), default=-1)
    speaking = {key: some for key, some in own.items() if key.order[2] == lowest}
    known = stats(db, (kept.leg for some in speaking.values() for kept in some))
    found = {}
    for key, some in speaking.items():
        stat = together([known[kept.leg.series] for kept in some])
        found[key.name] = LastPoint(stat.last_step, stat.last_time, stat.last)
    return found


def changed(db: Database, since: float, most: int, scope: Scope = ALL) -> list[tuple[str, float]]:
    """Ids of runs that something was stored of since then, and when that was (Unix time of who stored it)."""
    where = f"kind = 'run' AND touched >= ?{scope.where}"
    sql = f"SELECT id, touched FROM runs WHERE {where} ORDER BY touched DESC, id LIMIT ?"
    return [(id, touched) for id, touched in db.query(sql, since, *scope.values, most)]


def choose_loss(names: list[str]) -> str | None:
    """Which of these metrics is the loss, if any. Pure."""
    plain = {name: name.lower().translate(_PLAIN) for name in sorted(names)}
    for wanted in _BEST_KNOWN:
        for name, text in plain.items():
            if text == wanted:
                return name
    return next((name for name, text in plain.items() if "loss" in text and "lossscale" not in text), None)


def _last_loss(db: Database, run: int) -> LossInfo | None:
    sql = "SELECT DISTINCT name FROM series WHERE run = ? AND lower(name) LIKE '%loss%'"
    name = choose_loss([name for (name,) in db.query(sql, run)])
    found = {} if name is None else find(db, run, name)
    own = sorted((key for key in found if key.kind == "run"), key=lambda key: key.order)
    if not own:
        return None
    legs = [kept.leg for kept in found[own[0]]]
    known = stats(db, legs)
    stat = together([known[leg.series] for leg in legs])
    return LossInfo(own[0].name, stat.last, stat.last_step)
