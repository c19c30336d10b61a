"""What can be set of the webhook sink, its check, and its secrets. Pure, but for `read_address` and `read_routing_key`,
which read the files that are named.

A webhook's address is a key: whoever has it may write where it leads. So nothing made here shows more of it than the
host.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from ..base import Retry
from ..http_options import MAX_SECRET_FILE, HttpOptions, url_problems
from .bodies import PLACEHOLDERS, unknown_placeholders

Told = Literal["alert", "started", "finished", "crashed"]
Level = Literal["INFO", "WARN", "ERROR"]

_ADDRESSES = ("endpoint", "endpoint_file", "endpoint_env")
_UNSET = "https://unset.invalid"


class WebhookOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the webhook sink, beside those of every HTTP sink.

    endpoint: the whole address, http or https; it is a secret, so better: endpoint_file: a file that holds it, read
    anew for each message; endpoint_env: the environment variable that holds it. format: whose bodies are sent: "json"
    is our own. template: a body of your own, as YAML, in whose texts `$title` and the like are replaced.
    routing_key_file, routing_key_env: where PagerDuty's integration key stands. events: what is told. min_level: the
    lowest level of alerts that is told. wait: seconds for which a title that was told of a run is not told again. page:
    where people reach the collector's page, for links to runs.
    """

    endpoint: str = ""
    endpoint_file: str | None = None
    endpoint_env: str | None = None
    format: Literal["json", "slack", "mattermost", "teams", "pagerduty"] = "json"
    template: dict[str, Any] = msgspec.field(default_factory=dict)
    routing_key_file: str | None = None
    routing_key_env: str | None = None
    events: tuple[Told, ...] = ("alert",)
    min_level: Level = "INFO"
    # As W&B itself waits; a loop that raises an alert in each step must not fill a channel.
    wait: Annotated[float, msgspec.Meta(ge=0, le=86400, extra={"unit": "seconds"})] = 60.0
    page: str | None = None

    def __repr__(self) -> str:
        """As every HTTP sink's, without the address."""
        hidden = msgspec.structs.replace(self, endpoint=host_of(self.endpoint))
        return HttpOptions.__repr__(hidden)

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown of them, wherever it may turn up."""
        return secrets_of_address(self.endpoint)

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = HttpOptions.check(msgspec.structs.replace(self, endpoint=_UNSET))
        given = [name for name in _ADDRESSES if getattr(self, name)]
        if len(given) != 1:
            problems.append(f"endpoint: one of {', '.join(_ADDRESSES)} is required, and no more than one")
        if self.endpoint:
            problems += [f"endpoint: {text}" for text in address_problems(self.endpoint)]
        if self.page is not None:
            problems += [f"page: {text}" for text in url_problems(self.page, ("http", "https"))]
        return [*problems, *self._body_problems()]

    def _body_problems(self) -> list[str]:
        problems: list[str] = []
        keys = [name for name in ("routing_key_file", "routing_key_env") if getattr(self, name)]
        if self.format == "pagerduty" and len(keys) != 1:
            problems.append("routing_key_file: PagerDuty needs its integration key: here, or in routing_key_env")
        if self.format != "pagerduty" and keys:
            problems.append(f"{keys[0]}: has a meaning for `format: pagerduty` alone")
        if self.template and self.format != "json":
            problems.append("template: it takes the place of a format: leave format away")
        for name in unknown_placeholders(self.template):
            problems.append(f"template: there is no ${name}; known are {', '.join(f'${one}' for one in PLACEHOLDERS)}")
        if not self.events:
            problems.append("events: at least one of alert, started, finished, crashed")
        return problems


def host_of(address: str) -> str:
    """What may be shown of an address: where it leads, and nothing of the way."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "(not an address)"
    if not host:
        return "(not an address)"
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}/…"


def secrets_of_address(address: str) -> tuple[str, ...]:
    """What of an address must not be shown, should a server or a library repeat it: all of it, the words on the way
    that look like keys, and the way with such a word in it. `/api/v1` is none; hidden, it would hide what others say.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return (address,)
    words = [word for word in re.split(r"[/?&=;,:]+", f"{parts.path}?{parts.query}") if _is_like_a_key(word)]
    ways = [f"{parts.path}?{parts.query}", parts.path] if words else []
    return tuple(dict.fromkeys([address, *ways, *words]))


def _is_like_a_key(word: str) -> bool:
    """Long, or of letters and digits."""
    return len(word) >= 20 or (len(word) >= 8 and bool(re.search("[0-9]", word)) and bool(re.search("[A-Za-z]", word)))


def address_problems(address: str) -> list[str]:
    """What is wrong with an address, without a word of it."""
    problems = url_problems(address, ("http", "https"))
    if not problems and "@" in urlsplit(address).netloc:
        problems.append("a user or password does not belong here: use header_files or header_env")
    return problems


def read_address(options: WebhookOptions, environ: Mapping[str, str]) -> str:
    """Where messages go to. Blocks on a file. Raises Retry that says which option to look at."""
    if options.endpoint:
        return options.endpoint
    address = _read(options.endpoint_file, options.endpoint_env, environ, "endpoint")
    option = "endpoint_file" if options.endpoint_file else "endpoint_env"
    for problem in address_problems(address):
        raise Retry(f"{option}: what stands there {problem}")
    return address


def read_routing_key(options: WebhookOptions, environ: Mapping[str, str]) -> str | None:
    """PagerDuty's key, where it is needed. Blocks on a file. Raises Retry."""
    if options.format != "pagerduty":
        return None
    return _read(options.routing_key_file, options.routing_key_env, environ, "routing_key")


def _read(path: str | None, variable: str | None, environ: Mapping[str, str], what: str) -> str:
    """One line of text from whichever is given."""
    if path is None:
        if not environ.get(variable or "", "").strip():
            raise Retry(f"{what}_env: there is no environment variable {variable}")
        return environ[variable or ""].strip()
    try:
        with Path(path).open("rb") as file:
            value = file.read(MAX_SECRET_FILE + 1).decode("utf-8", "replace").strip()
    except OSError as problem:
        raise Retry(f"{what}_file: {path}: {problem.strerror}") from problem
    if not value or not value.isprintable() or len(value) > MAX_SECRET_FILE:
        raise Retry(f"{what}_file: {path} must hold one line of text")
    return value
