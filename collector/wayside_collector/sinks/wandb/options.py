"""What can be set of the W&B sink, its check, and where the API key comes from. `check` touches neither network nor
disk.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from ...configuration.units import MAX_BYTES
from ..base import Retry
from ..http_options import shown, url_problems
from ..tls import TlsOptions, tls_problems

MAX_KEY_FILE = 4096  #: bytes of a file with an API key; a key is one line of 40 characters and more
_URL = re.compile(r"https?://[^\s/?#]+[^\s?#]*")


class WandbOptions(TlsOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the W&B sink, beside those of every sink.

    mode: "online" uploads; "offline" writes run folders for `wandb sync`, as it does with a session that says
    WANDB_MODE=offline. entity, project: where runs go that name none
    themselves. base_url: the W&B server. api_key_file, api_key: the key; without both, the environment's WANDB_API_KEY.
    dir: where the SDK keeps its files. dirs: roots below which a session's own WANDB_DIR is followed for its offline
    folder; what lies there is not counted by max_dir_size. max_dir_size: bytes they may take: files of online runs are
    removed oldest first, offline run folders never. proxy: an http proxy, `user:password@` allowed. A ca_file is
    trusted beside the system's authorities. tags: added to each run's own. upload_interval: seconds between two
    uploads of a run, whole.
    finish_timeout: seconds a run's finish may take. step_axis: "wandb" leaves the x-axis to W&B's own step; "wayside"
    writes `wayside/step`, the user's step, on every row and makes it the x-axis.
    """

    mode: Literal["online", "offline"] = "online"
    entity: str | None = None
    project: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = "wayside"
    base_url: str = "https://api.wandb.ai"
    api_key_file: str | None = None
    api_key: str | None = None
    dir: str | None = None
    dirs: tuple[str, ...] = ()
    # Some 20 million rows of ten metrics offline: weeks of a run, and a part of a node's disk.
    max_dir_size: Annotated[int, msgspec.Meta(ge=1 << 20, le=MAX_BYTES, extra={"unit": "bytes"})] = 10 << 30
    proxy: str | None = None
    tags: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()
    # W&B asks for at most some 1,000 requests a minute of a project; its SDK's own 15 s make a chart feel stuck.
    upload_interval: Annotated[int, msgspec.Meta(ge=1, le=300, extra={"unit": "seconds"})] = 5
    finish_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600, extra={"unit": "seconds"})] = 60.0
    step_axis: Literal["wandb", "wayside"] = "wandb"

    def __repr__(self) -> str:
        """As any struct's, without the API key and the proxy's password."""
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        said["api_key"] = None if self.api_key is None else "***"
        said["proxy"] = None if self.proxy is None else shown(self.proxy)
        said["base_url"] = shown(self.base_url)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = []
        if not _URL.fullmatch(self.base_url) or "@" in self.base_url:
            problems.append("base_url: must be an address that begins with http:// or https:// and names a host only")
        problems += [f"dirs: {one!r:.80} must be an absolute path" for one in self.dirs if not os.path.isabs(one)]
        if self.proxy is not None:
            problems += [f"proxy: {text}" for text in url_problems(self.proxy, ("http",))]
        if self.api_key is not None and self.api_key_file is not None:
            problems.append("api_key: has no meaning beside api_key_file")
        return problems + tls_problems(self)


def read_key(options: WandbOptions, environ: Mapping[str, str]) -> str:
    """The API key, from the file, the option or WANDB_API_KEY; blocks on the file. Raises Retry, never quoting it."""
    if options.api_key_file is not None:
        try:
            with Path(options.api_key_file).open("rb") as file:
                key = file.read(MAX_KEY_FILE).decode("utf-8", "replace").strip()
        except OSError as problem:
            raise Retry(f"api_key_file: {options.api_key_file}: {problem.strerror}") from problem
        if not key or not key.isprintable():
            raise Retry(f"api_key_file: {options.api_key_file} must hold one line, the W&B API key")
        return key
    key = options.api_key or environ.get("WANDB_API_KEY", "")
    if not key:
        raise Retry("no W&B API key: set api_key_file, api_key, or WANDB_API_KEY in the collector's environment")
    return key


def has_key(options: WandbOptions, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether these are told of a key, or need none; whether it is one, only W&B knows."""
    told = options.api_key_file or options.api_key or environ.get("WANDB_API_KEY")
    return bool(told) or options.mode == "offline"


def secrets_of(options: WandbOptions, key: str) -> frozenset[str]:
    """What must never be shown: the key, the proxy's user and password."""
    found = {key}
    if options.proxy is not None:
        user, _, password = urlsplit(options.proxy).netloc.rpartition("@")[0].partition(":")
        found |= {user, password, unquote(user), unquote(password)}
    return frozenset(found - {""})


def redact(text: str, secrets: frozenset[str]) -> str:
    """`text` with every secret replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
