"""Variables that begin with WAYSIDE_ and mean nothing to anybody: a misspelt one does nothing, and says nothing of it.

Pure; `settings.py` and the collector's `config.py` read the environment, and ask here about the rest of it.
"""

from typing import Iterable, List, Optional

PREFIX = "WAYSIDE_"
MAX_NAMED = 10  #: unknown variables told of, of one process
CLOSE = 0.7  #: of difflib's likeness, from 0 to 1: one slip in a short word, two in a longer one

#: What `read_settings` looks at.
CLIENTS = (
    *("SOCKET", "DIR", "SHARED_MEMORY", "KEPT_LIMIT", "MODE", "TRANSPORT", "RUN_ID", "PROJECT", "NAME", "ENTITY"),
    *("RUN_GROUP", "JOB_TYPE", "NOTES", "TAGS", "DISABLE_GIT", "DISABLE_CODE", "QUIET"),
    *("WANDB_HOOK", "TENSORBOARD_HOOK"),  # `hook.switch`
)
#: The collector's options without the prefix, up to the first "__": one environment often serves both.
COLLECTORS = (
    "ADOPT",
    "API",
    "CLIENTS",
    "EXIT_WHEN_ALONE",
    "GRACE",
    "INGEST",
    "LISTEN",
    "LISTEN_PUBLIC",
    "LOG",
    "PUBLIC",
    "SINKS",
    "SOURCES",
    "SPOOL",
    "TOKEN",  # what commands show a collector elsewhere
)

_PAGES = "docs/client.md and docs/configuration.md name those that do"
_TCP_UDP = ("_TCP", "_UDP", "_SCTP")


def unknown(names: Iterable[str], known: Iterable[str] = ()) -> List[str]:
    """What to tell of each of these variables that nobody reads. known: more names that mean something, without the
    prefix, offered where one is misspelt.
    """
    read = {*CLIENTS, *COLLECTORS, *known}
    told = []
    for name in names:
        if not name.startswith(PREFIX):
            continue
        word = name[len(PREFIX) :]
        head, parts, rest = word.partition("__")
        if head in (COLLECTORS if parts else read) or _is_service_link(name):
            continue
        near = nearest(word, sorted(read)) or (parts and (nearest(head, sorted(read)) or ""))
        near = f"{near}__{rest}" if parts and near in COLLECTORS else near
        hint = f"did you mean {PREFIX}{near}?" if near else _PAGES
        told.append(f"{name[:100]} means nothing to Wayside; {hint}")
    return sorted(told)[:MAX_NAMED]


def nearest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that this one may be a slip of; None where none is close."""
    import difflib  # when first needed: hardly ever

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=CLOSE)
    return found[0] if found else None


def _is_service_link(name: str) -> bool:
    """Whether Kubernetes made it of a Service that is called wayside, or wayside-something."""
    if "_SERVICE_HOST" in name or "_SERVICE_PORT" in name:
        return True
    return name.endswith("_PORT") or ("_PORT_" in name and any(kind in name for kind in _TCP_UDP))
