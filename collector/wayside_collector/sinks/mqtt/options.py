"""What can be set of the MQTT sink, and its check. Pure: the check touches neither network nor disk."""

import re
from typing import Annotated, Literal

import msgspec

from ...broker import broker_problems
from ..tls import TlsOptions

PLACES = frozenset({"project", "run", "rank", "metric", "host", "session"})  #: what a topic may name


class MqttOptions(TlsOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the MQTT sink, beside those of TLS.

    endpoint: `mqtt://host:1883`, or `mqtts://host:8883` for TLS. version: of the protocol; in "3.1.1" a broker cannot
    say that it denies a topic. client_id: as the broker knows us; made from host and sink when not given. username,
    password_file: the latter is read at each connection. timeout: seconds to connect, and without a word of the broker
    while one is due.
    topic: of a message, with `{project}`, `{run}`, `{rank}`, `{metric}`, `{host}` and `{session}`; without `{metric}`,
    a message holds a whole row. system_topic: of what the samplers measure. event_topic: of config, summary, alerts and
    the finish, with `{kind}`; none when not given. status_topic: says `online` or `offline`, retained; the broker says
    the latter by itself when the collector is gone; empty for none. retain: whether the broker keeps the last message
    of each topic for who subscribes later.
    """

    endpoint: str
    version: Literal["5", "3.1.1"] = "5"
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    username: str | None = None
    password_file: str | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600, extra={"unit": "seconds"})] = 30.0
    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] = "wayside/{project}/{run}/{rank}/{metric}"
    system_topic: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] = "wayside/hosts/{host}/{metric}"
    event_topic: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    status_topic: Annotated[str, msgspec.Meta(max_length=1024)] = "wayside/collectors/{host}"
    retain: bool = False

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = broker_problems(self)
        for option, more in (("topic", ""), ("system_topic", ""), ("event_topic", "kind"), ("status_topic", "")):
            template = getattr(self, option) or ""
            known = {"host"} if option == "status_topic" else PLACES | {more} - {""}
            for found in re.findall(r"\{(.*?)\}", template):
                if found not in known:
                    problems.append(f"{option}: there is no {{{found:.40}}}; there are {', '.join(sorted(known))}")
            bare = re.sub(r"\{.*?\}", "", template)
            if any(letter in bare for letter in "+#\x00{}") or template.startswith("$"):
                problems.append(f"{option}: must hold none of + # {{ }} outside of placeholders, and not begin with $")
        return problems
