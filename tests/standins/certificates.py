"""Certificates for tests of TLS, made on the spot with the `openssl` command: nothing secret lies in the repository."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A self-signed certificate and its key, as PEM files."""

    cert: Path
    key: Path

    def server_context(self, *, client_ca: Path | None = None) -> ssl.SSLContext:
        """A server's context with it; with client_ca, one that lets in only clients of that authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificate(folder: Path, name: str = "server", hosts: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """A fresh one in `folder`, valid for a day."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    files = ["-keyout", str(made.key), "-out", str(made.cert)]
    subprocess.run(["openssl", "req", *kind, *subject, *files], check=True, capture_output=True, timeout=15)
    return made
