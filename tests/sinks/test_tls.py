"""TLS of every sink that sends somewhere: the same options, and a warning where certificates are not checked."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standins.certificates import make_certificate
from standins.wandb_backend import WandbBackend
from wayside_collector.configuration import config
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.tls import TlsOptions
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.sinks.wandb.options import WandbOptions
from wayside_collector.sinks.wandb.upstream import Unreachable, Upstream

ADDRESSES = {"endpoint", "base_url", "broker", "url", "host"}  #: names of options that say where to send
BY_ITS_DRIVER = {"store"}  #: libpq takes TLS in the url: sslmode, sslrootcert, sslcert, sslkey
REQUIRED: dict[str, dict[str, Any]] = {
    "lens": {"endpoint": "https://lens/v1"},
    "gateway": {"endpoint": "https://gateway:9750"},
    "mqtt": {"endpoint": "mqtts://broker"},
    "otlp": {"endpoint": "https://collector:4318"},
    "remote_write": {"endpoint": "https://prometheus/api/v1/write"},
    "webhook": {"endpoint": "https://chat/hooks/x"},
}


def options_of(name: str) -> type[msgspec.Struct]:
    found: type[msgspec.Struct] = config.load_name(SINKS[name].options)
    return found


@pytest.mark.parametrize("name", SINKS)
def test_every_sink_that_sends_somewhere_has_the_options(name: str) -> None:
    """Whoever has an address has the four options of TLS, by the same names."""
    if ADDRESSES & set(options_of(name).__struct_fields__) and name not in BY_ITS_DRIVER:
        assert issubclass(options_of(name), TlsOptions)


@pytest.mark.parametrize("name", [name for name in SINKS if issubclass(options_of(name), TlsOptions)])
def test_an_unchecked_certificate_is_warned_of_at_the_start(name: str) -> None:
    """By the sink's name and option, and only where it is so."""
    options = REQUIRED.get(name, {})
    assert config.build({"sinks": {name: options}}, {}).warnings == []
    unchecked = config.build({"sinks": {"mine": {"kind": name, **options, "verify_tls": False}}}, {})
    (warning,) = unchecked.warnings
    assert warning.startswith("sinks.mine.verify_tls: false")


@pytest.mark.asyncio
async def test_wandb_is_shown_our_own_certificate(tmp_path: Path) -> None:
    """A W&B server that lets in only who shows a certificate it knows answers with ours, and not without."""
    server, ours = make_certificate(tmp_path), make_certificate(tmp_path, "ours")
    with WandbBackend(tls=server.server_context(client_ca=ours.cert)) as backend:
        for cert_file, key_file in ((str(ours.cert), str(ours.key)), (None, None)):
            options = WandbOptions(
                base_url=backend.url, ca_file=str(server.cert), cert_file=cert_file, key_file=key_file
            )
            upstream = Upstream(options, Limits(upstream_timeout=5.0))
            await upstream.open()
            try:
                async with asyncio.timeout(15):
                    if cert_file is None:
                        with pytest.raises(Unreachable):
                            await upstream.send("POST", "graphql", {}, b"{}")
                    else:
                        assert (await upstream.send("POST", "graphql", {}, b"{}")).status < 500
            finally:
                await upstream.close()
