"""The options HTTP sinks have in common, their check, and the headers made of them; TLS stands in `tls.py`.

`check` touches neither network nor disk, so that a configuration can be checked anywhere. Files and the environment
are read when the sink is opened, a header's file anew for each request, so that a rotated token is taken up. The
environment comes in as an argument. No text made here holds a header's value or a proxy's password.
"""

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from .. import __version__
from .base import Retry
from .tls import TlsOptions, tls_problems

USER_AGENT = f"wayside-collector/{__version__}"
MAX_SECRET_FILE = 16 << 10  #: bytes of a file with a header's value: servers refuse longer header lines


class HttpOptions(TlsOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options every HTTP sink has.

    endpoint: the service's address, http or https. headers: sent with each request. header_files: header name to a
    file that holds its value. header_env: header name to the environment variable that holds its value. bearer_file: a
    file that holds a token, sent as `Authorization: Bearer …`. basic_user, basic_password_file: a name, and a file that
    holds its password, sent as `Authorization: Basic …`. timeout: seconds for one whole request. proxy: an http proxy's
    address, `user:password@` allowed. A ca_file stands in the place of the system's authorities.
    """

    endpoint: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    header_files: dict[str, str] = msgspec.field(default_factory=dict)
    header_env: dict[str, str] = msgspec.field(default_factory=dict)
    bearer_file: str | None = None
    basic_user: str | None = None
    basic_password_file: str | None = None
    # A server that stores before it answers may need this long, and cutting it off may lose what it was storing.
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600, extra={"unit": "seconds"})] = 30.0
    proxy: str | None = None

    def __repr__(self) -> str:
        """As any struct's, without the values of headers and the proxy's password."""
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        said["headers"] = dict.fromkeys(self.headers, "***")
        said["proxy"] = None if self.proxy is None else shown(self.proxy)
        said["endpoint"] = shown(self.endpoint)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        return [*_address_problems(self), *_header_problems(self), *_credential_problems(self), *tls_problems(self)]

    @property
    def reads_files(self) -> bool:
        """Whether the headers of a request come from files, in part at least."""
        return bool(self.header_files or self.bearer_file or self.basic_password_file)


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    if "@" in parts.path:  # a password with a slash in it, which should have been percent-encoded
        return "(not an address)"
    return SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "").geturl()


# --- headers ---------------------------------------------------------------------------------------------------------

# The answers are small; a body that must be unpacked could be a large one.
_OWN = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}


def read_headers(options: HttpOptions, environ: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request, those from files and the environment included. Blocks on the files. Raises Retry
    naming the header, and never its value.
    """
    found = dict(options.headers)
    for name, variable in options.header_env.items():
        if variable not in environ:
            raise Retry(f"header_env: there is no environment variable {variable} for the header {name}")
        found[name] = _header_value(environ[variable], f"header_env: {variable}")
    for name, path in options.header_files.items():
        found[name] = _header_value(_read_secret(path, name), f"header_files: {path}")
    found |= _credentials(options)
    taken = {name.lower() for name in found}
    return {name: value for name, value in _OWN.items() if name.lower() not in taken} | found


def _credentials(options: HttpOptions) -> dict[str, str]:
    """The header Authorization, where it is made of its parts."""
    if options.bearer_file is not None:
        token = _read_secret(options.bearer_file, "Authorization", "bearer_file")
        return {"Authorization": "Bearer " + _header_value(token, f"bearer_file: {options.bearer_file}")}
    if options.basic_user is not None and options.basic_password_file is not None:
        path = options.basic_password_file
        password = _header_value(
            _read_secret(path, "Authorization", "basic_password_file"), f"basic_password_file: {path}"
        )
        return {"Authorization": "Basic " + base64.b64encode(f"{options.basic_user}:{password}".encode()).decode()}
    return {}


def _read_secret(path: str, header: str, option: str = "header_files") -> str:
    try:
        with Path(path).open("rb") as file:
            value = file.read(MAX_SECRET_FILE + 1)
    except OSError as problem:
        raise Retry(f"{option}: {path} for the header {header}: {problem.strerror}") from problem
    if len(value) > MAX_SECRET_FILE:
        raise Retry(f"{option}: {path} is longer than {MAX_SECRET_FILE} bytes: it holds no header's value")
    return value.decode("utf-8", "replace")


def _header_value(text: str, where: str) -> str:
    value = text.strip()
    if not value or not value.isprintable():
        raise Retry(f"{where} must hold one line of text, the header's value")
    return value


def secrets_of(headers: Mapping[str, str], proxy: str | None) -> frozenset[str]:
    """What must never be shown: the values of headers the user gave, their longer words, the proxy's user and
    password; all of it also as JSON and percent-encoding spell it.
    """
    found = {value for value in headers.values() if value not in _OWN.values()}
    found |= {_password_of(value) for value in found}
    # A word of two or three letters is no secret, and hiding it would hide the sentence.
    found |= {word for value in found for word in re.split(r"[\s;,=:]+", value) if len(word) > 3}
    if proxy is not None:
        user, _, password = urlsplit(proxy).netloc.rpartition("@")[0].partition(":")
        found |= {user, password}
    found |= {unquote(word) for word in found} | {json.dumps(word)[1:-1] for word in found}
    return frozenset(found - {""})


def _password_of(value: str) -> str:
    """What basic credentials hold, in plain; empty for anything else."""
    scheme, _, packed = value.partition(" ")
    if scheme != "Basic":
        return ""
    with contextlib.suppress(ValueError):
        return base64.b64decode(packed, validate=True).decode("utf-8", "replace").partition(":")[2]
    return ""


# --- checks ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OURS = frozenset({"content-length", "content-type", "content-encoding", "transfer-encoding", "connection"})


def _address_problems(options: HttpOptions) -> list[str]:
    problems = [f"endpoint: {text}" for text in url_problems(options.endpoint, ("http", "https"))]
    if not problems:
        parts = urlsplit(options.endpoint)
        if "@" in parts.netloc:
            problems.append("endpoint: a user or password does not belong here: use header_files or header_env")
        if "?" in options.endpoint or "#" in options.endpoint:
            problems.append("endpoint: must end with the path, without ? or #")
    if options.proxy is not None:
        problems += [f"proxy: {text}" for text in url_problems(options.proxy, ("http",))]
    return problems


def _credential_problems(options: HttpOptions) -> list[str]:
    problems = []
    given = {name.lower() for name in (*options.headers, *options.header_files, *options.header_env)}
    for option in ("bearer_file", "basic_user"):
        if getattr(options, option) is not None and "authorization" in given:
            problems.append(f"{option}: the header Authorization is given already")
    if options.bearer_file is not None and options.basic_user is not None:
        problems.append("basic_user: has no meaning beside bearer_file")
    if (options.basic_user is None) != (options.basic_password_file is None):
        lacking = "basic_user" if options.basic_user is None else "basic_password_file"
        problems.append(f"{lacking}: basic_user and basic_password_file go together")
    return problems


def url_problems(url: str, schemes: tuple[str, ...]) -> list[str]:
    """What is wrong with an address, without a word of it: a password may stand in it."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return [f"must be an address that begins with {wanted}, with a port up to 65535"]
    if parts.scheme not in schemes or not host or port == 0 or not url.isprintable() or " " in url:
        return [f"must be an address that begins with {wanted} and names a host"]
    return []


def _header_problems(options: HttpOptions) -> list[str]:
    problems: list[str] = []
    seen: dict[str, str] = {}
    for option in ("headers", "header_files", "header_env"):
        for name, value in getattr(options, option).items():
            if not _TOKEN.fullmatch(name):
                problems.append(f"{option}: {name!r:.80} is no name of a header")
            elif name.lower() in _OURS:
                problems.append(f"{option}: {name} is set by the sink itself")
            elif name.lower() in seen:
                problems.append(f"{option}: {name} is also in {seen[name.lower()]}")
            if not value or not value.isprintable():
                problems.append(f"{option}: what stands at {name!r:.80} must be one line of text")
            seen[name.lower()] = option
    return problems
