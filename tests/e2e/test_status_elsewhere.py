"""`status` of an address that is none, and of a server that is somebody else's."""

import http.server
import threading

import pytest
from e2e.machine import Machine

pytestmark = pytest.mark.timeout(90)

PAGE = "<html>" + "<p>hello</p>\n" * 500


class Foreign(http.server.BaseHTTPRequestHandler):
    """A server of somebody else's; `answer` is its code, type and body."""

    answer = (200, "text/html", PAGE)

    def do_GET(self) -> None:
        code, kind, body = self.answer
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("url", ["foo", "localhost:9750", "ftp://localhost", "http://"])
def test_status_of_no_address(machine: Machine, url: str) -> None:
    """What is no address is said in one sentence, with exit code 1."""
    done = machine.wayside_collector("status", "--url", url)
    assert done.returncode == 1
    assert url in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize(
    "answer",
    [Foreign.answer, (404, "text/html", PAGE), (200, "application/json", "{}"), (200, "application/json", "[1]")],
)
def test_status_of_another_server(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: "tuple[int, str, str]"
) -> None:
    """A page or JSON that is no collector's is one sentence with the address, not the page, and exit code 1."""
    monkeypatch.setattr(Foreign, "answer", answer)
    with http.server.HTTPServer(("127.0.0.1", 0), Foreign) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = machine.wayside_collector("status", "--url", url)
        server.shutdown()
        serving.join()
    assert done.returncode == 1
    assert f"{url} is no collector" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
