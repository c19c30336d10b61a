"""What a training's environment asks that is the collector's to decide: a client's address is never followed, and its
user should know why his rows are elsewhere. Pure, but for `Wishes`, which logs.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .configuration.config import SinkConfig
from .session import Session
from .sinks.gateway import GatewayOptions
from .sinks.http_options import shown
from .sinks.jsonl import JsonlOptions, writes_output
from .sinks.lens import LensOptions
from .sinks.wandb.options import WandbOptions

MOST_TOLD = 200  #: different things logged in one life, and shown in `/status`

log = logging.getLogger(__name__)


def differences(session: Session, sinks: Iterable[SinkConfig]) -> list[str]:
    """Where its environment says another address than the configuration, or asks for a sink that is not there."""
    found = []
    every = list(sinks)
    endpoint, uploads = session.primus.endpoint, session.origin != "wandb" and session.wandb.mode == "online"
    if endpoint is not None and session.primus.reporting:
        there = {sink.name: sink.options.endpoint for sink in every if isinstance(sink.options, LensOptions)}
        if there or not _hands_on(every):
            found += _apart("PRIMUS_LENS_API_BASE_URL", endpoint, there, "sinks.{}.endpoint", "sinks.lens.endpoint")
    wandb = {sink.name: sink.options for sink in every if isinstance(sink.options, WandbOptions)}
    if session.wandb.base_url is not None and uploads and wandb:
        there = {name: options.base_url for name, options in wandb.items()}
        found += _apart("WANDB_BASE_URL", session.wandb.base_url, there, "sinks.{}.base_url", "")
    if not session.wandb.verify_tls and uploads:
        found += [
            f"its WANDB_VERIFY_SSL or WANDB_INSECURE_DISABLE_SSL asks that certificates be not checked, and sink "
            f"{name} checks them: sinks.{name}.ca_file, or sinks.{name}.verify_tls"
            for name, options in wandb.items()
            if options.verify_tls
        ]
    return [f"run {session.run.id}: {text}" for text in found]


def _hands_on(sinks: Iterable[SinkConfig]) -> bool:
    """Whether another collector may have the sinks that are not here."""
    return any(isinstance(sink.options, GatewayOptions) for sink in sinks)


def _apart(variable: str, asked: str, there: Mapping[str, str], option: str, missing: str) -> list[str]:
    if not there:
        return [f"its {variable} is {shown(asked)}, and this collector has no such sink: {missing}"]
    if any(_same(asked, own) for own in there.values()):
        return []
    ours = ", ".join(f"{option.format(name)} ({shown(own)})" for name, own in there.items())
    return [f"its {variable} is {shown(asked)}, which is not followed: what counts is {ours}"]


def _same(one: str, other: str) -> bool:
    """Whether two addresses lead to one service; Lens is asked at `/v1` and `/api/v1` alike."""
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return shown(url).lower().rstrip("/").removesuffix("/v1").removesuffix("/api")


def answer(
    session: Session, sinks: Iterable[SinkConfig], has_key: Callable[[str, WandbOptions], bool]
) -> dict[str, Any]:
    """What the client is told of its wishes with the answer to its hello. wandb: whether a sink has a key for W&B:
    "key", "no key", "no sink", or "gateway" where another collector may have one. output: who writes the files it asks
    for, a sink ("here") or the client ("there").
    """
    every = list(sinks)
    wandb = [(sink.name, sink.options) for sink in every if isinstance(sink.options, WandbOptions)]
    told: dict[str, Any] = {"wandb": "gateway" if _hands_on(every) else "no sink"}
    if wandb:
        told["wandb"] = "key" if any(has_key(*one) for one in wandb) else "no key"
    if session.primus.output is not None:
        written = (isinstance(sink.options, JsonlOptions) and writes_output(session, sink.options) for sink in every)
        told["output"] = "here" if any(written) else "there"
    return told


class Wishes:
    """Says each difference once. sinks: those configured now."""

    def __init__(self, sinks: Callable[[], Iterable[SinkConfig]]) -> None:
        self._sinks = sinks
        self._told: set[str] = set()

    def hear(self, session: Session) -> None:
        """A session has begun."""
        for text in differences(session, self._sinks()):
            if text not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(text)
                log.warning("%s", text)

    def shown(self, sessions: Iterable[Session]) -> list[str]:
        """What is to be said of these sessions now, each thing once."""
        sinks = list(self._sinks())
        found: dict[str, None] = {}
        for session in sessions:
            if len(found) >= MOST_TOLD:
                break
            found.update(dict.fromkeys(differences(session, sinks)))
        return list(found)[:MOST_TOLD]
