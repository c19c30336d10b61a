"""What events have told of devices, by host: a GPU's uuid comes once, and is wanted as a label for ever after. Pure."""

import logging
from collections.abc import Mapping

import msgspec

from .names import sound
from .sampled import KEPT_FIELDS

DEVICE = "device"  #: the kind of the samplers' events that describe devices
MAX_HOSTS = 1000  #: hosts whose devices are remembered
MAX_DEVICES = 1024  #: of one host: 16 GPUs of 7 MIG instances and some hundred disks fit well
_KEY = "host/"

Devices = Mapping[str, Mapping[str, str]]  #: device to what is known of it

_log = logging.getLogger(__name__)


class DeviceBook:
    """Descriptions. changes: of a sink's kept state, to be committed. damaged: kept records that could not be read."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self._hosts: dict[str, dict[str, dict[str, str]]] = {}
        self.changes: dict[str, bytes | None] = {}
        self.damaged = 0
        for key, text in state.items():
            if key.startswith(_KEY):
                try:
                    found = msgspec.msgpack.decode(text, type=dict[str, dict[str, str]])
                    self._hosts[key.removeprefix(_KEY)] = found
                except msgspec.MsgspecError as problem:
                    _log.warning("what was kept under %.80s cannot be read (%s) and is left out", key, problem)
                    self.damaged += 1

    def of(self, host: str) -> Devices:
        return self._hosts.get(host, {})

    def describe(self, host: str, data: Mapping[str, object]) -> bool:
        """Take descriptions; whether there was anything new in them."""
        told = {
            sound(device): {field: sound(text) for field in KEPT_FIELDS if isinstance(text := fields.get(field), str)}
            for device, fields in data.items()
            if "/" in device and isinstance(fields, dict)
        }
        known = self._hosts.get(host, {})
        if {**known, **told} == known or (host not in self._hosts and len(self._hosts) >= MAX_HOSTS):
            return False
        kept = dict(list({**known, **told}.items())[:MAX_DEVICES])
        self._hosts[host] = kept
        self.changes[_KEY + sound(host)] = msgspec.msgpack.encode(kept)
        return True
