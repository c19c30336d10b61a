"""Where the sinks of a world deliver to: stand-ins of W&B and Lens, as whoever runs the world asks for them, the
trouble they make, and what has arrived there.
"""

import asyncio
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standins.lens_server import LensServer, Reply
from standins.wandb_backend import WandbBackend

TIMEOUT = 3.0  #: seconds until a request that hangs is given up; the sinks' own is ten times that

Arrived = tuple[int, dict[str, Any]]  #: a step and its metrics

#: What Lens does to the next request, beside being away.
LENS_TROUBLE: tuple[Any, ...] = (
    *("fail", "fail late", "refuse", "drop", "hang", "broken"),
    *(Reply(429, headers={"Retry-After": "1"}), Reply(503), Reply(404), Reply(307, headers={"Location": "/elsewhere"})),
    *(Reply(200, b"\x00\xff garbage"), Reply(200, b'{"meta":{"code":5000,"message":"Unknown error"}}')),
)


@dataclass
class Receivers:
    """lens: whether there is a Lens. wandb: "online" against a stand-in, "offline" into files, or "" for none."""

    lens: bool = False
    wandb: str = ""

    def __post_init__(self) -> None:
        self.backend = WandbBackend() if self.wandb == "online" else None
        self.server = LensServer() if self.lens else None
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._folder = Path(".")
        self._away = {"lens": False, "wandb": False}
        if self.backend is not None:
            self.backend.start()
        if self.server is not None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="lens", daemon=True)
            self._thread.start()
            self._run(self.server.start)

    def _run(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)

    def sinks(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Their part of the configuration: they get the rows of the "shown" producers."""
        self._folder = folder / "wandb"
        found: dict[str, dict[str, Any]] = {}
        if self.server is not None:
            found["lens"] = {"endpoint": self.server.base, "timeout": TIMEOUT, "include": ["shown/*"]}
        if self.backend is not None:
            address = {"base_url": self.backend.url, "api_key": self.backend.key, "upload_interval": 1}
            found["wandb"] = {**address, "finish_timeout": 5, "include": ["shown/*"], "dir": str(self._folder)}
        elif self.wandb == "offline":
            found["wandb"] = {"mode": "offline", "include": ["shown/*"], "dir": str(self._folder)}
        return found

    # --- trouble -----------------------------------------------------------------------------------------------------

    def trouble(self, choose: random.Random) -> str:
        """Something goes wrong at one of them, for one request or until `heal`; returns what."""
        kinds = [name for name in ("lens", "wandb") if getattr(self, {"lens": "server", "wandb": "backend"}[name])]
        kind = choose.choice(kinds)
        what = self._trouble_lens(choose) if kind == "lens" else self._trouble_wandb(choose)
        return f"{kind} {what}"

    def _trouble_lens(self, choose: random.Random) -> str:
        assert self.server is not None
        if choose.random() < 0.3:
            if not self._away["lens"]:
                self._run(self.server.stop)
            self._away["lens"] = True
            return "away"
        what = choose.choice(LENS_TROUBLE)
        self.server.script.append(what)
        return what if isinstance(what, str) else str(what.status)

    def _trouble_wandb(self, choose: random.Random) -> str:
        assert self.backend is not None
        what = choose.choice(["away", "500", "429", "403", "garbage", "drop", "drop late", "hang", "hang, drop late"])
        if what == "away":
            self._away["wandb"] = True
            self.backend.away()
        elif what == "garbage":
            self.backend.fail("file_stream", 200, body="\x00 garbage", lines=True)
        elif what == "429":
            self.backend.fail("file_stream", 429, headers={"Retry-After": "1"})
        elif what.isdigit():
            self.backend.fail("file_stream", int(what))
        elif what.startswith("drop"):
            self.backend.drop("file_stream", late=what == "drop late")
        else:
            self.backend.hang("file_stream", ", drop late" if "drop" in what else "", lines=True)
        return what

    @property
    def troublesome(self) -> bool:
        return self.server is not None or self.backend is not None

    def heal(self) -> None:
        """Whoever is away comes back, and nobody fails any more."""
        if self.server is not None:
            self.server.script.clear()
            self._run(self._back)
        if self.backend is not None:
            self.backend.heal()
            if self._away["wandb"]:
                self.backend.start()
        self._away = {"lens": False, "wandb": False}

    async def _back(self) -> None:
        assert self.server is not None
        if self._away["lens"]:
            await self.server.start()

    def close(self) -> None:
        if self.backend is not None:
            self.backend.stop()
        if self.server is not None and self._thread is not None:
            self._run(self.server.__aexit__)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        self._loop.close()

    # --- what arrived ------------------------------------------------------------------------------------------------

    def lens_rows(self, producer: int) -> list[Arrived]:
        """The steps of a producer's workload, each once: Lens merges."""
        assert self.server is not None
        return list(self.server.values(f"workload-{producer}").items())

    def wandb_rows(self, run: str) -> list[Arrived]:
        """Every line of a run's history, online; every row in any of its folders, offline; by the user's step."""
        rows = self._online(run) if self.backend is not None else self._offline(run)
        return [(_step_of(row), {name: row[name] for name in row if name.startswith("shown/")}) for row in rows]

    def _online(self, run: str) -> list[dict[str, Any]]:
        assert self.backend is not None
        return [row for one in self.backend.runs if one.id == run for row in one.rows]

    def _offline(self, run: str) -> list[dict[str, Any]]:
        from standins.wandb_files import history

        return [row for path in sorted(self._folder.glob("**/*.wandb")) for row in history(path, run)]


def _step_of(row: dict[str, Any]) -> int:
    """The user's step: W&B's own, or beside it where that had to grow."""
    return int(row.get("wayside/step", row["_step"]))
