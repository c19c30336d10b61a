"""TLS of sinks that send somewhere: the options they have in common, their check, and the context made of them.

`check` touches neither network nor disk; files are read when a sink is opened. That a certificate is not checked is
warned of at each start (`config.py`), whichever sink it is.
"""

import errno
import os
import ssl
from typing import Literal, Protocol

from .base import Retry, SinkOptions


class TlsOptions(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every sink that speaks TLS.

    verify_tls, ca_file: how the server's certificate is checked; ca_file is a PEM file of authorities. cert_file,
    key_file: our own certificate (PEM), for servers that ask for one.
    """

    verify_tls: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class TlsFields(Protocol):
    """Those options, of whatever has them."""

    @property
    def verify_tls(self) -> bool: ...
    @property
    def ca_file(self) -> str | None: ...
    @property
    def cert_file(self) -> str | None: ...
    @property
    def key_file(self) -> str | None: ...


def tls_problems(options: TlsFields) -> list[str]:
    """What is wrong with them, each text beginning with the option's name."""
    problems = []
    if options.key_file is not None and options.cert_file is None:
        problems.append("key_file: has no meaning without cert_file")
    if options.ca_file is not None and not options.verify_tls:
        problems.append("ca_file: has no meaning with verify_tls: false")
    return problems


def tls_context(options: TlsFields, ca_file_is: Literal["instead", "besides"] = "instead") -> ssl.SSLContext:
    """How the server's certificate is checked, and our own. ca_file_is: trusted instead of the system's authorities, or
    besides them. Blocks on the files; raises Retry naming the option.
    """
    try:
        context = ssl.create_default_context(cafile=options.ca_file if ca_file_is == "instead" else None)
        if options.ca_file is not None and ca_file_is == "besides":
            context.load_verify_locations(options.ca_file)
    except OSError as problem:
        raise Retry(f"ca_file: {options.ca_file}: {reason(problem)}: it must be a PEM file") from problem
    if not options.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.cert_file is not None:
        try:
            context.load_cert_chain(options.cert_file, options.key_file, password=_no_password)
        except OSError as problem:
            files = f"cert_file: {options.cert_file}, key_file: {options.key_file}: {reason(problem)}"
            raise Retry(f"{files}: they must be PEM files that belong together, without a password") from problem
    return context


def _no_password() -> str:
    return ""  # without it, OpenSSL would ask at the terminal


def reason(problem: OSError) -> str:
    """What the system or OpenSSL says of an error, in a few words."""
    if problem.errno is not None and problem.errno in errno.errorcode and not isinstance(problem, ssl.SSLError):
        return os.strerror(problem.errno)  # asyncio's own text for it names only the address
    return str(getattr(problem, "reason", None) or problem.strerror or problem or type(problem).__name__)[:200]
