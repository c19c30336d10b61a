"""The last net for secrets: whatever the configuration holds of them is hidden in every line of the log, tracebacks
included, and in everything `/status` says.

Parts quote no secret by themselves (`sinks/http_options.py`, `sinks/wandb/options.py`); this is for what nobody thought
of: a library's exception, a server that repeats what it was sent. What is read from files later is not known here.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from .configuration.config import Config
from .configuration.options import SECRET

HIDDEN = "***"
SHORTEST = 6  #: characters; a shorter word is no secret, and hiding it would hide the sentence

_VARIABLES = re.compile(r"(?i).*(_KEY|TOKEN|SECRET|PASSWORD)$|PGPASSWORD$|(http|https|all)_proxy$")
_USER = re.compile(r"[^:/\s]+://[^:@/\s]*:(.*)@")  # greedy: an @ may stand in the password
_SCHEMES = frozenset({"bearer", "basic", "digest", "token", "apikey"})  # before a header's secret, and no secret


def secrets_in(config: Config, environ: Mapping[str, str], handed: Iterable[str] = ()) -> frozenset[str]:
    """Every value of the configuration, of the environment, and handed over since, that must not be shown."""
    found = set(handed)
    for sink in config.sinks:
        for name in sink.options.__struct_fields__:
            found.update(_of_option(name, getattr(sink.options, name), environ))
        found.update(getattr(sink.options, "secrets", tuple)())
    for name, value in environ.items():
        if _VARIABLES.fullmatch(name):
            found.update(_of_text(value, whole="://" not in value))
    spelt = {
        form for value in found for form in (value, unquote(value), quote(value, safe=""), json.dumps(value)[1:-1])
    }
    return frozenset(value for value in spelt if len(value) >= SHORTEST)


def _of_option(name: str, value: Any, environ: Mapping[str, str]) -> Iterator[str]:
    if name.endswith(("_file", "_files")):
        return  # paths
    secret = SECRET.search(name) is not None
    if isinstance(value, str):
        yield from _of_text(value, whole=secret and "://" not in value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            text = environ.get(inner, "") if name.endswith("_env") else inner
            if isinstance(text, str):
                yield from _of_text(text, whole=secret)


def _of_text(text: str, *, whole: bool) -> Iterator[str]:
    """The password in an address; and the text itself with its words, where all of it is secret."""
    user = _USER.match(text)
    if user is not None:  # what should have been percent-encoded may be quoted in pieces by who reads the address
        yield user[1]
        yield from re.split(r"[/?#@:\s]+", user[1])
    if whole:
        yield text
        yield from (word for word in re.split(r"[\s;,=:]+", text) if word.lower() not in _SCHEMES)


class Redaction:
    """Hides secrets in texts, and in whatever JSON can hold."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        longest_first = sorted(secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, text: str) -> str:
        return text if self._known is None else self._known.sub(HIDDEN, text)

    def hide_in(self, value: Any) -> Any:
        """The same for every text in a value, keys apart."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {key: self.hide_in(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_in(inner) for inner in value]
        return value
