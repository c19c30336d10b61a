"""The options that say who may do what: on the socket, and on the two HTTP listeners. Pure: nothing is looked up here.

What they mean stands in `docs/security.md`; `sources/peers.py` and `web/access.py` enforce them.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from .wording import show

Named = str | int  #: a user or a group, by name or number


class ClientsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may connect to the socket, and where journals may lie that they name.

    mode: the socket's permissions, as text in octal. group: its group, by name or number; when not given, the one its
    folder gives it. users, groups: by name or number; with any of them, only they, root and the collector's own user
    are let in; with none, whoever the socket's permissions let in. journals: folders below which the journals that
    clients name may lie, beside the socket's folder, `dir` and each user's own in /dev/shm. files: folders below which
    files of artifacts are read that clients name; a client of the collector's user that sees the same files may name
    any.
    """

    mode: Annotated[str, msgspec.Meta(pattern="^0[0-7]{3}$", description='a mode in quotes, like "0660"')] = "0660"
    group: Named | None = None
    users: tuple[Named, ...] = ()
    groups: tuple[Named, ...] = ()
    journals: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = [] if int(self.mode, 8) & 0o600 == 0o600 else ["mode: the collector itself must read and write"]
        for option in ("group", "users", "groups"):
            value = getattr(self, option)
            found = value if isinstance(value, tuple) else () if value is None else (value,)
            problems += [f"{option}: {show(one)} is neither a name nor a number" for one in found if not _is_named(one)]
        named = [("journals", path) for path in self.journals] + [("files", path) for path in self.files]
        relative = [(option, path) for option, path in named if not path.startswith(("/", "~"))]
        return problems + [f"{option}: {path!r:.80} must be an absolute path" for option, path in relative]


ANYBODY = ClientsSection()  #: whoever the socket's permissions let in


def _is_named(value: Named) -> bool:
    return 0 <= value < 0xFFFFFFFF if isinstance(value, int) else bool(value.strip())


class PublicSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `listen_public` gives to whom, beside /metrics, /livez and /readyz, which are everybody's.

    token_file: a file with a line `reader TOKEN` or `writer TOKEN` for each token; read anew when it changes.
    anonymous: what those may do who show no token: "nothing", or as a "reader" see everything. cert_file, key_file:
    our certificate (PEM), for https; read anew when they change. origins: pages elsewhere, like
    "https://dash.example", whose scripts may use the API with a token (CORS). max_connections: open at once, each with
    a descriptor: for a gateway one for each collector that feeds it.
    """

    token_file: str | None = None
    anonymous: Literal["nothing", "reader"] = "nothing"
    cert_file: str | None = None
    key_file: str | None = None
    origins: tuple[str, ...] = ()
    max_connections: Annotated[int, msgspec.Meta(ge=16, le=65536)] = 256

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = [f"origins: {origin!r:.80} must be like https://host or http://host:port" for origin in self._bad()]
        if self.key_file is not None and self.cert_file is None:
            problems.append("key_file: has no meaning without cert_file")
        return problems

    @property
    def token_path(self) -> Path | None:
        return None if self.token_file is None else Path(self.token_file).expanduser()

    def _bad(self) -> Iterator[str]:
        for origin in self.origins:
            if not re.fullmatch(r"https?://[^\s/?#@]+", origin):
                yield origin


class IngestSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may send rows to `listen_public` without a token.

    trusted: networks, like "10.0.0.0/8", of programs that cannot show one. Whoever can send from there can write rows
    into any run, so it is empty unless set, and told at each start.
    """

    trusted: tuple[str, ...] = ()

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = []
        for text in self.trusted:
            try:
                ipaddress.ip_network(text)
            except ValueError as problem:
                problems.append(f'trusted: {problem}; a network is like "10.0.0.0/8" or "fd00::/8"'[:200])
        return problems


class Outside(NamedTuple):
    """What there is for callers from elsewhere. listen: `listen_public`."""

    listen: str | None = None
    public: PublicSection = PublicSection()
    ingest: IngestSection = IngestSection()

    def warnings(self) -> list[str]:
        """What an operator should know at each start."""
        listen, public, ingest = self
        if listen is None:
            unused = public != PublicSection() or ingest != IngestSection()
            return ["public and ingest.trusted have no meaning without listen_public"] if unused else []
        found = []
        if ingest.trusted:
            found.append(f"ingest.trusted: anybody in {', '.join(ingest.trusted)} may send rows without a token")
        if public.anonymous == "reader":
            found.append(f"public.anonymous: anybody who reaches {listen} sees everything")
        if public.token_file is not None and public.cert_file is None and not is_loopback(split_address(listen)[0]):
            found.append(f"listen_public: tokens cross the network to {listen} as they are: set public.cert_file")
        return found


NOBODY = Outside()  #: nothing for callers from elsewhere


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of an address to listen on; an empty host is every interface."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine's own programs reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_problems(listen: str, public: str | None) -> list[str]:
    """What is wrong with the two addresses, each text beginning with the option's name."""
    problems = []
    for option, text in (("listen", listen), ("listen_public", public)):
        if text is not None and int(text.rpartition(":")[2][:9]) > 65535:
            problems.append(f"{option}: {text[:80]} has no port from 0, which takes a free one, to 65535")
    host, port = split_address(listen)
    if not is_loopback(host):
        problems.append(
            f"listen: {listen[:80]} can be reached from elsewhere, and everything there is for everybody who reaches "
            "it: use an address like 127.0.0.1:9750, and listen_public for others"
        )
    if public is not None and port and split_address(public)[1] == port:
        problems.append(f"listen_public: port {port} is that of listen already: give one of them another")
    return problems


def origin_host(origin: str) -> str:
    """Host and port that an Origin header names, as a Host header would; empty for "null" and the like."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
