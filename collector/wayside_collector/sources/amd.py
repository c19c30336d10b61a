"""The AMD sampler: reads the amdgpu driver's files in sysfs, and asks AMD's library for what they lack.

The files stand in `amdgpu`, the library in `amd_library`, the names of metrics in `gpu`. One file that cannot be read
hides no other; one that says "not supported" is read again after an hour, a card that is gone after five minutes.
GPUs are numbered by their PCI addresses, after those of NVIDIA's, and keep their number.
"""

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from ..configuration.units import SampleInterval
from . import amdgpu
from .amd_library import AmdLibrary, LibraryError, NoLibrary, parse_temperatures, parse_throttles, residencies
from .base import Sample, Unavailable
from .gpu import Draft, number_devices

ASK_AGAIN: Final = 3600.0  #: seconds until a field that was not supported is asked for again; drivers change seldom
OPEN_AGAIN: Final = 300.0  #: seconds until a card that is gone is looked for again

#: What a file answers that this card, or this process, will not have soon. EPERM is not among them: that is how
#: amdgpu says that the card is being reset or asleep.
_UNSUPPORTED: Final = (errno.ENOENT, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENODATA, errno.ENOSYS)

Answer = TypeVar("Answer")


class AmdOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """interval: seconds between two samples; 1, about a training step. slow_interval: seconds between two looks at
    what seldom changes or costs much: limits, error counters, PCIe, AMD's library. devices: numbers, PCI addresses or
    unique ids of the GPUs to sample; empty for all there are. library: "auto" uses amdsmi when it is there. processes:
    "memory" tells the memory of each compute process, "count" only how many there are. root: where sysfs is.
    """

    interval: SampleInterval = 1.0
    slow_interval: SampleInterval = 10.0
    devices: tuple[int | str, ...] = ()
    library: Literal["auto", "off"] = "auto"
    processes: Literal["memory", "count"] = "memory"
    root: str = "/sys"


@dataclass(slots=True)
class Card:
    """One GPU under its number. folder: its device folder. kfd: its name among compute processes. later: field to the
    time when to ask for it again. handle: the library's, None without one. throttled: its residency counters.
    """

    number: int
    folder: Path
    about: dict[str, str]
    fields: list[amdgpu.Field]
    kfd: str | None
    handle: Any = None
    later: dict[str, float] = field(default_factory=dict)
    throttled: dict[str, int] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return f"gpu/{self.number}"


class AmdSampler:
    """Fulfils `Sampler`. `clock` is a steady clock in seconds; `read` reads a file, and may raise OSError."""

    def __init__(
        self,
        options: AmdOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[Path], str] = amdgpu.read_text,
    ) -> None:
        self._options = options
        self._root = Path(options.root)
        self._clock = clock
        self._read = read
        self._library: AmdLibrary | None = None
        self._cards: dict[str, Card] = {}
        self._numbers: dict[str, int] = {}
        self._slow_due = 0.0
        self._open_again: float | None = None

    def open(self) -> None:
        self.close()
        found = amdgpu.find_cards(self._root)
        if not found:
            raise Unavailable(f"no AMD GPU in {self._root / 'class/drm'}: no card, no amdgpu driver, or /sys is hidden")
        first = amdgpu.count_others(self._root)
        self._numbers = number_devices(self._numbers, [(address, first + i) for i, (address, _) in enumerate(found)])
        cards = {address: self._card(address, folder) for address, folder in found}
        chosen = {address: card for address, card in cards.items() if _wanted(self._options.devices, address, card)}
        self._cards = {address: card for address, card in self._cards.items() if address not in cards} | chosen
        if not self._cards:
            raise Unavailable(f"none of the AMD GPUs here is among `devices`: {list(self._options.devices)}")
        self._open_library()
        self._slow_due = self._clock()
        self._open_again = None

    def sample(self) -> Sample:
        now = self._clock()
        if self._open_again is not None and now >= self._open_again:
            self.open()
        slow = now >= self._slow_due
        if slow:
            self._slow_due = now + self._options.slow_interval
        draft = Draft(now)
        for card in self._cards.values():
            draft.devices[card.device] = card.about
            lost = not (card.folder / "vendor").exists()
            draft.metrics[f"{card.device}/lost"] = float(lost)
            if lost:
                draft.problems.append(f"{card.device}: does not answer: its folder in sysfs is gone")
                if self._open_again is None:
                    self._open_again = now + OPEN_AGAIN
                continue
            self._read_card(card, draft, slow)
            if slow and self._library is not None and card.handle is not None:
                self._ask_library(self._library, card, draft)
        return draft.sample()

    def close(self) -> None:
        library, self._library = self._library, None
        if library is not None:
            with suppress(LibraryError):  # there is nothing left to do with a library that does not end
                library.close()

    def _card(self, address: str, folder: Path) -> Card:
        number = self._numbers[address]
        about = {"index": str(number), **amdgpu.describe(self._root, address, folder)}
        return Card(number, folder, about, amdgpu.find_fields(folder), amdgpu.kfd_id(self._root, folder))

    def _open_library(self) -> None:
        """Whether there is a library, and why not, stands in what is told of each card."""
        if self._options.library == "off":
            return
        try:
            self._library = AmdLibrary.open()
        except NoLibrary as reason:
            for card in self._cards.values():
                card.about["library"] = str(reason)
            return
        for address, card in self._cards.items():
            try:
                card.handle = self._library.find(address)
                card.about["library"] = "amdsmi"
            except LibraryError as error:
                card.about["library"] = f"amdsmi does not know this GPU: {error}"

    def _read_card(self, card: Card, draft: Draft, slow: bool) -> None:
        for question in card.fields:
            if slow or not question.slow:
                texts = self._ask(card, question.name, partial(self._read_all, question.paths), draft)
                if texts is not None:
                    draft.add(card.device, question.parse(texts))
        if card.kfd is not None:
            processes = amdgpu.read_processes(self._root, card.kfd)
            if processes is not None:
                draft.add_processes(card.device, processes, each=self._options.processes == "memory")

    def _ask_library(self, library: AmdLibrary, card: Card, draft: Draft) -> None:
        """Only what the files did not tell."""
        energy = self._ask(card, "energy", partial(library.energy, card.handle), draft)
        draft.add(card.device, energy or ())
        if f"{card.device}/ecc_corrected_errors_total" not in draft.metrics:
            draft.add(card.device, self._ask(card, "ECC errors", partial(library.errors, card.handle), draft) or ())
        metrics = self._ask(card, "gpu_metrics", partial(library.gpu_metrics, card.handle), draft)
        if metrics is None:
            return
        temperatures = parse_temperatures(metrics)
        draft.add(card.device, (r for r in temperatures if f"{card.device}/{r.name}" not in draft.metrics))
        throttled = residencies(metrics)
        draft.add(card.device, parse_throttles(card.throttled, throttled))
        card.throttled = throttled

    def _read_all(self, paths: tuple[Path, ...]) -> list[str]:
        return [self._read(path) for path in paths]

    def _ask(self, card: Card, name: str, read: Callable[[], Answer], draft: Draft) -> Answer | None:
        """The answer to one question about a card, or None: here the errors of files and of the library end."""
        if card.later.get(name, draft.now) > draft.now:
            return None
        try:
            return read()
        except LibraryError as error:
            unsupported, text = error.unsupported, str(error)
        except OSError as error:
            unsupported, text = error.errno in _UNSUPPORTED, str(error.strerror)
        if unsupported:
            card.later[name] = draft.now + ASK_AGAIN
            draft.unsupported.setdefault(card.device, []).append(name)
        else:
            draft.problems.append(f"{card.device}: {name}: {text}")
        return None


def _wanted(devices: tuple[int | str, ...], address: str, card: Card) -> bool:
    return not devices or any(
        device in (address, card.about.get("uuid")) if isinstance(device, str) else device == card.number
        for device in devices
    )
