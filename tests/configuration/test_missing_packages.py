"""Parts that need a package of their own say so where it is missing, as a problem of the configuration."""

import subprocess
import sys

import pytest

ASK = """
import sys
for name in sys.argv[2].split(","):
    sys.modules[name] = None
from wayside_collector.configuration import config
word, name = sys.argv[1].split(".")
try:
    config.build({word: {name: {"endpoint": "x"}}}, {})
except config.ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("part", "package", "extra"),
    [
        ("sinks.remote_write", "cramjam", "remote-write"),
        ("sinks.otlp", "google,opentelemetry", "otlp"),
        ("sinks.mqtt", "aiomqtt", "mqtt"),
        ("sources.mqtt", "aiomqtt", "mqtt"),
    ],
)
def test_the_command_that_installs_it_is_told(part: str, package: str, extra: str) -> None:
    """With the part's path and the package's name, and no traceback."""
    done = subprocess.run([sys.executable, "-c", ASK, part, package], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{part}: the package ")
    assert done.stdout.endswith(f" is missing: pip install 'wayside-collector[{extra}]'\n")
