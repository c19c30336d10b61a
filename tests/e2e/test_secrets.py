"""A secret in every place that takes one, and then the question where it can be seen: nowhere."""

import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from e2e.machine import Machine, free_port, until
from wayside_collector.configuration import config
from wayside_collector.configuration.options import SECRET
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.http_options import shown

pytestmark = pytest.mark.timeout(180)  # W&B's SDK starts twice, on a busy machine

#: A secret for each place. Those in addresses have what an address must spell otherwise.
SECRETS = {
    place: f"Zq9{number:02d}x7Kp{place.replace(' ', '')}Wm4"
    for number, place in enumerate(
        (
            *("header", "header file", "header variable", "second word", "api key", "api key file"),
            *("key of the environment", "token file", "hub token", "argument", "config"),
            *("webhook", "webhook file", "webhook variable", "routing key", "routing variable", "basic password"),
        )
    )
}
PASSWORDS = {
    place: f"Pq8/{number}@7Vw{place}" for number, place in enumerate(("proxy", "wandbproxy", "envproxy", "url"))
}

SCRIPT = """
import sys
import wayside

config = {"lr": 0.5, "api_key": sys.argv[-1], "wandb": {"token": sys.argv[-1], "hub": "@HUB@"}, "note": "key @ENV@"}
with wayside.init(project="p", id="r1", config=config) as run:
    wayside.alert("a title", "some text")
    for step in range(20):
        wayside.log({"loss": 1.0 / (step + 1)}, step=step)
"""


class _Repeats(BaseHTTPRequestHandler):
    """A server that says everything back that it was sent, as some do in their error pages."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        sent = {"path": self.path, "body": self.rfile.read(length).decode("latin-1")}
        body = json.dumps({"error": f"refused: {sent} {dict(self.headers)}", "raw": str(self.headers)}).encode()
        self.send_response(422 if "/refuses" in self.path else 401 if "graphql" in self.path else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def repeating() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Repeats)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def every_secret_option(server: str, inputs: Path) -> dict[str, Any]:
    """A configuration with a secret in each option that takes one."""
    closed = f"127.0.0.1:{free_port()}"
    for name in ("header file", "api key file", "routing key", "basic password"):
        (inputs / name).write_text(SECRETS[name] + "\n")
    (inputs / "webhook file").write_text(f"{server}/breaks/{SECRETS['webhook file']}\n")
    (inputs / "tokens").write_text(f"reader {SECRETS['token file']}\n")
    headers = {
        "headers": {"Authorization": f"Bearer {SECRETS['header']}", "X-Two": f"id=7, {SECRETS['second word']}"},
        "header_files": {"X-File": str(inputs / "header file")},
        "header_env": {"X-Env": "MY_HEADER"},
    }
    lens = {"kind": "lens", "workload_uid": "u1", **headers}
    gateway = {"kind": "gateway", "interval": "50ms", **headers}
    proxy = {name: f"http://user:{quote(password, safe='')}@{closed}" for name, password in PASSWORDS.items()}
    wandb = {"kind": "wandb", "entity": "e", "base_url": server}
    webhook = {"kind": "webhook", "events": ["alert", "started", "finished"]}
    pager = {"endpoint": f"{server}/refuses", "format": "pagerduty", **webhook}
    basic = {"basic_user": "u", "basic_password_file": str(inputs / "basic password")}
    return {
        "log": {"level": "debug"},
        "sources": {},
        "listen_public": "127.0.0.1:0",
        "public": {"token_file": str(inputs / "tokens")},
        "sinks": {
            "jsonl": {},
            "prometheus": {},
            "broken": {"endpoint": f"{server}/breaks/v1", **lens},
            "refused": {"endpoint": f"{server}/refuses/v1", **lens},
            "proxied": {"endpoint": "http://lens.invalid/v1", "proxy": proxy["proxy"], **lens},
            "fed": {"endpoint": f"{server}/refuses", **gateway},
            "fed-by-proxy": {"endpoint": "http://gateway.invalid", "proxy": proxy["proxy"], **gateway},
            "chat": {
                "endpoint": f"{server}/refuses/{SECRETS['webhook']}?sig={SECRETS['webhook']}",
                **webhook,
                **headers,
            },
            "chat-filed": {"endpoint_file": str(inputs / "webhook file"), "format": "slack", **webhook},
            "chat-proxied": {"endpoint_env": "MY_CHAT", "proxy": proxy["proxy"], **webhook},
            "pager": {"routing_key_file": str(inputs / "routing key"), **basic, **pager},
            "pager-env": {"routing_key_env": "MY_ROUTING_KEY", **pager},
            **pushing(server, closed, headers, basic | {"proxy": proxy["proxy"]}),
            "keyed": {**wandb, "api_key": SECRETS["api key"]},
            "filed": {**wandb, "api_key_file": str(inputs / "api key file"), "proxy": proxy["wandbproxy"]},
            "store": {"url": f"postgresql://user:{quote(PASSWORDS['url'], safe='')}@{closed}/metrics"},
        },
    }


def pushing(server: str, closed: str, headers: dict[str, Any], basic: dict[str, str]) -> dict[str, Any]:
    """Sinks that push, with their credentials in headers, in files of their own, and on the way to a proxy."""
    found: dict[str, Any] = {}
    kinds = {"remote_write": {}, "otlp": {}, "lens": {"workload_uid": "u1"}, "gateway": {"interval": "50ms"}}
    for kind, more in kinds.items():
        name = kind.replace("_", "-")
        found[f"{name}-refused"] = {"kind": kind, "endpoint": f"{server}/refuses", **headers, **more}
        found[f"{name}-basic"] = {"kind": kind, "endpoint": f"{server}/refuses", **basic, "proxy": None, **more}
        found[f"{name}-proxied"] = {"kind": kind, "endpoint": "http://x.invalid", **basic, **more}
    password = basic["basic_password_file"]
    found["published"] = {"kind": "mqtt", "endpoint": f"mqtt://{closed}", "username": "u", "password_file": password}
    return found


REFUSED = ("refused", *(f"{kind}-{how}" for kind in ("remote-write", "otlp") for how in ("refused", "basic")))
PUSHING = tuple(name for name in pushing("", "", {}, {"basic_password_file": ""}) if name not in REFUSED)


def spellings() -> dict[str, bytes]:
    """Every secret as it may stand somewhere: as it is, as in an address, as JSON has it."""
    found = {}
    for place, secret in {**SECRETS, **PASSWORDS}.items():
        for form in {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}:
            found[f"{place} ({form})"] = form.encode()
    return found


def leaks(where: str, data: bytes) -> list[str]:
    return [f"{place} in {where}" for place, form in spellings().items() if form in data]


def files_below(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(root) / name).is_file())


def get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        body: bytes = answer.read()
        return body


def test_no_secret_can_be_seen(machine: Machine, tmp_path: Path) -> None:
    """Not in the log at level debug, on no page, not in the spool, in dead letters or files of sinks, not in process
    arguments, nor in the environment of the W&B child, while every sink fails and its server repeats what it was sent.
    """
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    environ = {
        "MY_HEADER": SECRETS["header variable"],
        "WANDB_API_KEY": SECRETS["key of the environment"],
        "HF_TOKEN": SECRETS["hub token"],
        "MY_CHAT": f"http://chat.invalid/{SECRETS['webhook variable']}",
        "MY_ROUTING_KEY": SECRETS["routing variable"],
        "HTTPS_PROXY": f"http://user:{quote(PASSWORDS['envproxy'], safe='')}@127.0.0.1:9",
    }
    script = machine.folder / "train.py"
    script.write_text(SCRIPT.replace("@HUB@", SECRETS["hub token"]).replace("@ENV@", SECRETS["key of the environment"]))
    seen: list[str] = []
    with repeating() as server:
        collector = machine.collector(every_secret_option(server, inputs), **environ).wait_ready()
        done = machine.run(
            *(os.sys.executable, str(script), "--api-key", SECRETS["argument"], "--password", SECRETS["config"]),
            **environ,
        )
        assert done.returncode == 0, done.stderr
        failing = (
            "broken",
            "refused",
            "proxied",
            "fed",
            "fed-by-proxy",
            "keyed",
            "store",
            *("chat", "chat-filed", "chat-proxied", "pager", "pager-env"),
            *PUSHING,
        )  # `filed` waits for its proxy in patience
        until(
            lambda: all(collector.status()["sinks"][name]["last_error"] for name in failing),
            "every sink fails",
            within=60,
        )
        until(lambda: all(collector.status()["sinks"][name]["dead_letters"] for name in REFUSED), "dead letters")
        until(lambda: len(machine.rows("r1")) == 20, "rows in the file")
        children = psutil.Process(collector.process.pid).children(recursive=True)
        assert children, "there is no W&B child to look at"
        for process in (psutil.Process(collector.process.pid), *children):
            seen += leaks(f"the arguments of {process.name()}", Path(f"/proc/{process.pid}/cmdline").read_bytes())
        for process in children:
            seen += leaks(f"the environment of {process.name()}", Path(f"/proc/{process.pid}/environ").read_bytes())
        public = str(collector.status()["listen_public"]).rstrip("/")
        bearer = f"Bearer {SECRETS['token file']}"
        for page in ("/", "/status", "/metrics", "/login"):
            seen += leaks(page, get(collector.url + page))
            seen += leaks(f"public {page}", get(public + page, Authorization=bearer))
        for command in (("status",), ("status", "--json"), ("dead-letters", "list")):
            told = machine.wayside_collector(*command, "--url", collector.url)
            seen += leaks(" ".join(command), (told.stdout + told.stderr).encode())
        assert collector.stop() == 0
    seen += leaks("the log", collector.log.read_bytes())
    seen += leaks("what the training said", (done.stdout + done.stderr).encode())
    for folder in (machine.dir, machine.beside):
        for path in files_below(folder):
            seen += leaks(str(path.relative_to(folder)), path.read_bytes())
    assert not seen, "\n".join(seen)


def test_the_secrets_are_looked_for() -> None:
    """What the test above would say if one could be seen."""
    assert leaks("x", b"a " + SECRETS["header"].encode() + b" b")
    assert leaks("x", quote(PASSWORDS["proxy"], safe="").encode())
    assert not leaks("x", b"nothing")


def test_every_secret_option_is_in_the_test(tmp_path: Path) -> None:
    """An option whose name says that it is secret, in any sink, has one planted: a new one cannot be forgotten."""
    planted = every_secret_option("http://127.0.0.1:1", tmp_path)["sinks"]
    for name, kind in SINKS.items():
        options = config.load_name(kind.options).__struct_fields__
        mine = [sink for key, sink in planted.items() if sink.get("kind", key) == name]
        used = {option for sink in mine for option in sink}
        wanted = {option for option in options if SECRET.search(option) and option != "key_file"} | (
            {"url"} & set(options)
        )
        assert wanted <= used, f"{name}: plant a secret in {wanted - used}"


def test_a_configuration_that_is_refused_is_not_repeated(machine: Machine, tmp_path: Path) -> None:
    """`check` and `run` say what is wrong in every secret option, and not what stands there."""
    wrong = every_secret_option("http://127.0.0.1:1", tmp_path)
    wrong["sinks"]["broken"]["headers"] = [SECRETS["header"]]
    wrong["sinks"]["refused"]["header_files"] = SECRETS["header file"]
    wrong["sinks"]["proxied"]["proxy"] = f"ftp://user:{PASSWORDS['proxy']}@host"
    wrong["sinks"]["keyed"]["api_key"] = {"nested": SECRETS["api key"]}
    wrong["sinks"]["filed"]["base_url"] = f"https://user:{quote(PASSWORDS['url'], safe='')}@wandb"
    wrong["sinks"]["store"]["url"] = f"mysql://user:{quote(PASSWORDS['url'], safe='')}@host"
    path = machine.folder / "wrong.yaml"
    path.write_text(json.dumps(wrong))
    for command in (("check", str(path)), ("run", "--config", str(path))):
        told = machine.wayside_collector(*command)
        assert told.returncode == 2
        for option in ("headers", "header_files", "proxy", "api_key", "base_url", "url"):
            assert f".{option}" in told.stderr, option
        assert not leaks(command[0], (told.stdout + told.stderr).encode())


@pytest.mark.parametrize("sink", ["wandb", "lens"])
def test_a_proxy_s_password_that_breaks_the_address_is_not_repeated(sink: str) -> None:
    """A password with a slash in it, which should have been percent-encoded, makes it no address; it is not quoted."""
    options = {
        "proxy": "http://me:pass/word99@proxy:3128",
        **({"endpoint": "http://lens/v1"} if sink == "lens" else {}),
    }
    with pytest.raises(config.ConfigError) as refused:
        config.build({"sinks": {sink: options}}, {})
    assert f"sinks.{sink}.proxy" in str(refused.value)
    assert "word99" not in str(refused.value)
    assert "pass" not in shown(options["proxy"])
