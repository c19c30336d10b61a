"""What `PRIMUS_LENS_*` asks: the variables of AMD's exporter, which stand in the training container and are announced
to the collector with the session. Pure.

Yes and no are taken in any usual spelling; the exporter itself takes nothing but `true` for yes. None of these is a
secret, and an address is announced without user, password and query. `PRIMUS_LENS_WANDB_HOOK` is `hook.switch`'s.
"""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .reading import SHOWN, first, switch

MAX_BATCH = 50  #: steps: what the Lens sink's own option may be at most
MAX_INTERVAL = 3600  #: seconds
SAYS = "[Primus Lens WandB] "  #: how a line of the exporter begins, which its guide has people look for


class Primus(NamedTuple):
    """endpoint: where Lens is, as the training was told. reporting: whether Lens is to get this session. output: the
    folder for metrics as files, None for no files. enhance: whether those hold hardware metrics, too. debug: whether
    the guide's lines are said. batch_size, flush_interval: as asked, None where nobody asked.
    """

    endpoint: Optional[str] = None
    reporting: bool = True
    output: Optional[str] = None
    enhance: bool = False
    debug: bool = False
    batch_size: Optional[int] = None
    flush_interval: Optional[float] = None

    def fields(self) -> Dict[str, Any]:
        """What the session record says of it: only what is not the default."""
        usual = Primus()._asdict()
        return {name: value for name, value in self._asdict().items() if value != usual[name]}


def read_primus(environ: Mapping[str, str], cwd: str, problems: List[str]) -> Primus:
    """cwd: where a relative output path starts."""

    def flag(name: str, unset: bool) -> bool:
        return switch(environ, (f"PRIMUS_LENS_WANDB_{name}",), unset, problems, unset)

    output = first(environ, ("PRIMUS_LENS_WANDB_OUTPUT_PATH",))[1]
    saves = flag("SAVE_LOCAL", True)
    batch = _number(environ, "PRIMUS_LENS_WANDB_BATCH_SIZE", (1, MAX_BATCH), problems)
    return Primus(
        endpoint=address(environ, "PRIMUS_LENS_API_BASE_URL"),
        reporting=flag("API_REPORTING", True),
        output=os.path.join(cwd, os.path.expanduser(output)) if output and saves else None,
        enhance=flag("ENHANCE_METRICS", False),
        debug=flag("DEBUG", False),
        batch_size=None if batch is None else int(batch),
        flush_interval=_number(environ, "PRIMUS_LENS_WANDB_FLUSH_INTERVAL", (0.1, MAX_INTERVAL), problems),
    )


def address(environ: Mapping[str, str], name: str) -> Optional[str]:
    """A variable's address, without what may be secret in it."""
    value = first(environ, (name,))[1]
    if not value:
        return None
    from .masking import clean_url  # when first needed: it makes regular expressions

    return clean_url(value)[:1024]


def _number(environ: Mapping[str, str], name: str, bounds: Any, problems: List[str]) -> Optional[float]:
    value = first(environ, (name,))[1]
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    low, high = bounds
    if low <= number <= high:
        return number
    if number > high:
        problems.append(f"{name} is {value[:SHOWN]!r}; {high:g} is the most, and is used")
        return float(high)
    problems.append(f"{name} is {value[:SHOWN]!r} and must be a number from {low:g} to {high:g}; it counts as not set")
    return None
