"""A run as the training process holds it: what it is, `log()`, and everything said beside the rows."""

import os
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from . import row
from .exits import code_of, exit_number
from .handlers import raised_by_handler
from .keyvalues import KeyValues, plain
from .link import total_of
from .sessions import Identity, Surroundings
from .shelf import SPARE
from .surface import Surface
from .values import as_float, problem_of, text_of

FINISH_TIMEOUT = 20.0  #: seconds `finish` waits for numbers and media together: a full queue of media takes three


class Metric(NamedTuple):
    """What `define_metric` returns: good as the `step_metric` of another."""

    name: str


class Run(Surface):
    """One experiment, as seen from one process. Made by `wayside.init`."""

    def __init__(self, identity: Identity, surroundings: Surroundings, config: Any = None) -> None:
        super().__init__(identity, surroundings)
        self._own: Optional[str] = None  # the folder of the run's own files, once it was asked for
        self._on_finish: Callable[[Run], None] = lambda run: None
        self._config = KeyValues(lambda found, gone: self._event(row.CONFIG, {"set": found, "remove": gone}))
        self._summary = KeyValues(lambda found, gone: self._event(row.SUMMARY, {"set": found, "remove": gone}))
        if config is not None:
            try:
                self._config.update(config)
            except TypeError as problem:
                self.notices.tell("config", str(problem))

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id: the same on every rank and over restarts."""
        return self._identity.id

    @property
    def project(self) -> str:
        return self._identity.project

    @property
    def entity(self) -> Optional[str]:
        return self._identity.entity

    @property
    def group(self) -> Optional[str]:
        return self._identity.group

    @property
    def job_type(self) -> Optional[str]:
        return self._identity.job_type

    @property
    def url(self) -> Optional[str]:
        """Where to look at the run: its place on the collector's page, or None while no collector is known."""
        answer = self._link.handover.answer if self._link is not None else None
        page = (answer.url if answer is not None else None) or self._surroundings.url
        return f"{page.rstrip('/')}/runs/{_in_address(self.id)}" if page else page

    @property
    def dir(self) -> str:
        """A folder for the run's own files below WAYSIDE_DIR, made when first asked for. What is in it at the run's end
        is kept, as with `save`.
        """
        path = os.path.join(self._surroundings.overflow, "runs", self.id)
        os.makedirs(path, exist_ok=True)
        self._own = path
        return path

    @property
    def step(self) -> int:
        """The step the next `log()` without a step will have."""
        return self._step

    @property
    def config(self) -> KeyValues:
        return self._config

    def _told_config(self) -> Dict[str, Any]:
        return self._config.as_dict()

    @property
    def summary(self) -> KeyValues:
        return self._summary

    # --- said beside the rows ------------------------------------------------------------------------------------

    def alert(self, title: str, text: str = "", level: Any = "INFO", wait_duration: Any = 0) -> None:
        """Tell people: level INFO, WARN or ERROR; the same title within `wait_duration` seconds is not sent on."""
        told = {
            "title": text_of(title),
            "text": text_of(text),
            "level": text_of(getattr(level, "value", level)).upper(),
        }
        self._event(row.ALERT, dict(told, wait=_seconds(wait_duration)))

    def define_metric(
        self, name: str, step_metric: Any = None, step_sync: Optional[bool] = None, **options: Any
    ) -> Metric:
        """Say how a metric is to be shown (wandb's `define_metric`): its x axis, its summary (`summary="min"`),
        `hidden`, `goal`.
        """
        told = {key: value for key, value in options.items() if value is not None}
        if step_metric is not None:
            told["step_metric"] = text_of(getattr(step_metric, "name", step_metric))
        if step_sync is not None:
            told["step_sync"] = step_sync
        defined = Metric(text_of(name))
        self._event(row.DEFINE_METRIC, dict(plain(told), name=defined.name))
        return defined

    def finish(self, exit_code: Optional[int] = None) -> None:
        """End the run. Returns at once where the collector reads the journal; else it waits a few seconds for the
        journal to be sent or moved. What is left stays on disk or in memory for the collector: nothing is lost by not
        waiting. Numbers and media that are being computed and encoded are waited for, at most FINISH_TIMEOUT (20)
        seconds together. What fails on the way is told, and never raised.
        """
        if self._finished:
            return
        self._finished = True
        link, journal = self._link, self._journal
        try:
            self._end_parts(time.monotonic() + FINISH_TIMEOUT)
        finally:
            if journal is not None:
                journal.shelf.spare = SPARE
                counts = self._counts()
                if counts:
                    self._event(row.CLIENT, counts)
                self._event(row.FINISH, {"exit_code": exit_number(exit_code)})
                self._journal = self._direct = None
                if link is not None:
                    link.finish()
                else:
                    journal.close()
            if self._nowhere and link is None:
                self.notices.tell("lost", total_of(self._nowhere))
            self._on_finish(self)

    def _end_parts(self, deadline: float) -> None:
        """Each part's last work. What one raises (of an unreadable folder) stops neither the others nor the end."""
        late, media, own, link = self._late, self._media, self._own, self._link
        parts: Dict[str, Callable[[], None]] = {}
        if late is not None:
            parts["numbers of an accelerator"] = late.finish
        if media is not None:
            parts["media"] = lambda: media.finish(max(0.0, deadline - time.monotonic()))
        if own is not None:
            parts["files of the run's own folder"] = lambda: self._save_own(own)
        if link is not None:
            parts["what the run is"] = link.settle
        for name, end in parts.items():
            try:
                end()
            except Exception as problem:
                if raised_by_handler(problem):
                    raise
                self.notices.refuse(f"at the end: {name}", f"at the run's end, {name}: {problem_of(problem)}")

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> None:
        self.finish(exit_code=code_of(problem))


def _in_address(text: str) -> str:
    """Percent-encoded, without `urllib`, whose import would take milliseconds of `init`."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(one) if chr(one) in plain else f"%{one:02X}" for one in text.encode("utf-8", "replace"))


def _seconds(duration: Any) -> float:
    """A number of seconds or a timedelta; 0 for what is neither."""
    try:
        seconds = duration.total_seconds() if hasattr(duration, "total_seconds") else as_float(duration or 0)
    except Exception as problem:  # a user's object may raise anything when asked
        if raised_by_handler(problem):
            raise
        return 0.0
    return max(0.0, seconds) if seconds - seconds == 0 else 0.0
