"""The configuration file's shape: its sections, their options, their defaults. Pure; `config.py` reads it."""

from typing import Annotated, Any, Literal

import msgspec

from .access import ClientsSection, IngestSection, PublicSection, listen_problems
from .adoption import AdoptSection
from .units import Bytes, Seconds

Address = Annotated[str, msgspec.Meta(pattern=r"^\S*:[0-9]+$", description="a host and a port, like 127.0.0.1:9750")]


class SpoolSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The durable queue. path: its folder, `spool` in `dir` when not given. max_size: bytes of rows and events it may
    hold. max_age: seconds after which what no sink took is dropped, and booked. max_media: bytes of pictures, tables
    and other files that wait for sinks. max_linked: bytes of people's own files, of artifacts, that are held by
    another name until they are uploaded.
    """

    path: str | None = None
    max_size: Bytes = 1 << 30
    max_age: Seconds = 7 * 86400.0
    max_media: Bytes = 2 << 30
    max_linked: Bytes = 100 << 30


class LogSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The collector's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class ApiSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query API. lens_bodies: how Lens's endpoints answer who does not say: "bare", or in their "envelope"."""

    lens_bodies: Literal["bare", "envelope"] = "bare"


class Top(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's shape.

    socket: where clients connect; when not given, the first of the usual places that can be used. clients: who may.
    listen: address and port of `/metrics`, `/status` and the page for this machine's own programs, which need no
    token. listen_public: address and port for everybody else, none when not given; `public` says what they may do.
    ingest: who may send rows there without a token. api: how questions are answered. dir: where the collector keeps
    its files. grace: seconds the sinks may take to finish at a stop. exit_when_alone: seconds without any client after
    which the collector stops by itself; it never does when not given. adopt: whose rows it delivers, too. sources,
    sinks: name to options; with no `sinks` at all, `prometheus`, `jsonl` and `store`; with no `sources`, all of them. A
    sink of a name of your own says what it is by `kind`.
    """

    socket: str | None = None
    clients: ClientsSection = ClientsSection()
    listen: Address = "127.0.0.1:9750"
    listen_public: Address | None = None
    public: PublicSection = PublicSection()
    ingest: IngestSection = IngestSection()
    api: ApiSection = ApiSection()
    dir: str = "./.wayside"
    grace: Seconds = 10.0
    exit_when_alone: Seconds | None = None
    adopt: AdoptSection = AdoptSection()
    spool: SpoolSection = SpoolSection()
    sources: dict[str, Any] = {}
    sinks: dict[str, Any] = {}
    log: LogSection = LogSection()

    def check(self) -> list[str]:
        """What is wrong beyond the types, each text beginning with the option's name."""
        return listen_problems(self.listen, self.listen_public)
