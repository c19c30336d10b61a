"""How far runs have come: their last step, and the last value of what is most likely their loss."""

import msgspec

from .answers import LossInfo, RunInfo, RunProgress
from .catalog import find, stats, together
from .database import Database

NEWEST = 256  #: stretches among which the last step is: of steps without any rule there may be a million stretches
_BEST_KNOWN = ("loss", "lmloss", "trainloss", "actorloss")  # plain names, the likeliest first: as AMD's SaFE chooses
_PLAIN = str.maketrans("", "", "/_- ")


def progress(db: Database, run: int, info: RunInfo) -> RunProgress:
    """A run by its key, and what is known of it."""
    newest = "SELECT last FROM strides WHERE run = ? ORDER BY first DESC LIMIT ?"
    step = db.query(f"SELECT max(last) FROM ({newest}) AS newest", run, NEWEST)[0][0]
    return RunProgress(**msgspec.structs.asdict(info), step=step, last_loss=_last_loss(db, run))


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
