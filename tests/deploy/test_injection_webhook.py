"""The webhook as a process: real reviews over TLS, certificates that are replaced, and what it says of bad input."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.injecting import LEFT, SHAPES, patch_of, patched, rendered_plan, review
from deploy.test_rendering import validate

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

WITHIN = 60.0  # seconds for whatever is waited for


def make_certificate(folder: Path) -> Path:
    """A certificate of its own authority, beside its key."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=webhook", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "new.key"), "-out", str(folder / "new.crt")]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "new.key").replace(folder / "tls.key")
    (folder / "new.crt").replace(folder / "tls.crt")
    return folder


def arguments(plan: Path, tls: Path) -> list[str]:
    made = [sys.executable, "-m", "wayside_collector", "webhook", "--listen", "127.0.0.1:0", "--plan", str(plan)]
    return [*made, "--cert-file", str(tls / "tls.crt"), "--key-file", str(tls / "tls.key")]


@contextmanager
def webhook(plan: Path, tls: Path, folder: Path) -> Iterator[str]:
    """Its address."""
    log = folder / "webhook.log"
    with log.open("wb") as output:
        process = subprocess.Popen(arguments(plan, tls), stderr=output, env={"PATH": os.defpath})
    try:
        until = time.monotonic() + WITHIN
        while (found := re.search(r"https://127\.0\.0\.1:\d+", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield found[0]
        process.terminate()
        assert process.wait(WITHIN) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def post(url: str, body: bytes, tls: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(tls / "tls.crt"))
    request = urllib.request.Request(f"{url}/inject?timeout=5s", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=WITHIN, context=context) as response:
        found: bytes = response.read()
        return found


def test_every_shape_over_tls(helm: Path, validator: Path, tmp_path: Path) -> None:
    """Each review is answered with its uid and lets the pod through; the patches make valid pods, and of what was
    patched already nothing more is asked. Bad input is refused in words, and ends nothing.
    """
    plan, _ = rendered_plan(helm, tmp_path)
    tls = make_certificate(tmp_path / "tls")
    pods = []
    with webhook(plan, tls, tmp_path) as url:
        for name, pod in SHAPES.items():
            answered = json.loads(post(url, review(pod, uid=name), tls))
            assert (answered["apiVersion"], answered["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
            assert answered["response"]["uid"] == name
            patch = patch_of(json.dumps(answered).encode())
            assert bool(patch) == (name not in LEFT)
            assert bool(answered["response"].get("warnings")) == (name in (*LEFT, "python-path-by-value-from"))
            pods.append(patched(pod, patch))
        for pod in pods:
            assert patch_of(post(url, review(pod), tls)) == []
        for body in (
            b"",
            b"{}",
            b"[" * 100_000,
            review({}).replace(b"/v1", b"/v9"),
            review({"spec": {"containers": 1}}),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(url, body, tls)
            assert refused.value.code == 400
            assert json.loads(refused.value.read())["error"]
        assert patch_of(post(url, review(SHAPES["job"]), tls))
    assert validate(validator, [("1.33", pod) for pod in pods]) == []


@pytest.mark.long
def test_a_certificate_is_replaced(helm: Path, tmp_path: Path) -> None:
    """A new certificate is served to new connections without a restart."""
    plan, _ = rendered_plan(helm, tmp_path)
    tls = make_certificate(tmp_path / "tls")
    with webhook(plan, tls, tmp_path) as url:
        assert patch_of(post(url, review(SHAPES["job"]), tls))
        make_certificate(tls)
        until = time.monotonic() + WITHIN
        while True:
            try:
                assert patch_of(post(url, review(SHAPES["job"]), tls))
                break
            except urllib.error.URLError as problem:
                if "CERTIFICATE_VERIFY_FAILED" not in str(problem) or time.monotonic() > until:
                    raise
                time.sleep(0.2)


@pytest.mark.parametrize("missing", ["injection.yaml", "tls/tls.key"])
def test_what_is_missing_is_named(helm: Path, tmp_path: Path, missing: str) -> None:
    """Without one of its files it ends with a sentence that names the file, and no traceback."""
    plan, _ = rendered_plan(helm, tmp_path)
    tls = make_certificate(tmp_path / "tls")
    (tmp_path / missing).unlink()
    done = subprocess.run(arguments(plan, tls), capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode in (1, 2)
    assert str(tmp_path / missing) in done.stderr
    assert "Traceback" not in done.stderr
