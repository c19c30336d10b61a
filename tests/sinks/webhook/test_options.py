"""What the webhook sink's options take, and what is said of what they do not."""

import json
from pathlib import Path
from typing import Any

import pytest
from e2e.readme import blocks
from wayside_collector.configuration import config
from wayside_collector.configuration.yaml_text import load_yaml
from wayside_collector.redaction import Redaction, secrets_in
from wayside_collector.sinks.webhook import WebhookOptions
from wayside_collector.sinks.webhook.bodies import PLACEHOLDERS
from wayside_collector.sinks.webhook.options import host_of

URL = "https://hooks.slack.com/services/T0000/B1111/abcdefgh12345678"


def problems(**options: Any) -> list[str]:
    return WebhookOptions(**options).check()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "endpoint: one of endpoint, endpoint_file, endpoint_env is required"),
        ({"endpoint": URL, "endpoint_file": "/x"}, "endpoint: one of"),
        ({"endpoint": "ftp://x/SECRETSECRET"}, "endpoint: must be an address that begins with http:// or https://"),
        ({"endpoint": "https://u:SECRETSECRET@x/"}, "endpoint: a user or password does not belong here"),
        ({"endpoint": URL, "format": "pagerduty"}, "routing_key_file: PagerDuty needs its integration key"),
        ({"endpoint": URL, "routing_key_env": "K"}, "routing_key_env: has a meaning for `format: pagerduty` alone"),
        ({"endpoint": URL, "format": "slack", "template": {"a": "b"}}, "template: it takes the place of a format"),
        ({"endpoint": URL, "template": {"a": "$titel"}}, "template: there is no $titel; known are $event, $level"),
        ({"endpoint": URL, "events": ()}, "events: at least one of"),
        ({"endpoint": URL, "page": "wayside"}, "page: must be an address"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], said: str):
    """By the option's name, and without a word of the address."""
    (found,) = problems(**options)
    assert found.startswith(said)
    assert "SECRET" not in found


def test_addresses_as_services_give_them():
    """With a query, as those of Teams' workflows, and with a port."""
    query = "https://prod-01.westeurope.logic.azure.com:443/workflows/a/triggers/m?api-version=2016&sig=SECRETSECRET"
    assert problems(endpoint=query) == []
    assert problems(endpoint_env="SLACK_URL") == []
    assert host_of(query) == "https://prod-01.westeurope.logic.azure.com:443/…"
    assert host_of("http://[::1") == host_of("nonsense") == "(not an address)"


def test_the_address_is_hidden_in_every_text():
    """As a whole and in pieces, in whatever the log or the status may say."""
    found = config.build({"sinks": {"chat": {"kind": "webhook", "endpoint": URL}}}, {})
    hide = Redaction(secrets_in(found, {})).hide
    for text in (URL, "/services/T0000/B1111/abcdefgh12345678", "abcdefgh12345678"):
        assert "abcdefgh12345678" not in hide(f"could not post to {text}!")
    assert "abcdefgh" not in repr(found.sinks[0].options)


def test_what_is_no_key_is_not_hidden():
    """A path that many addresses have stays readable where others say it; the whole address is hidden all the same."""
    found = config.build(
        {"sinks": {"alerts": {"kind": "webhook", "endpoint": "http://am.example:9093/api/v1/alerts"}}}, {}
    )
    hide = Redaction(secrets_in(found, {})).hide
    assert (
        hide("GET /api/v1/runs/r1/alerts of http://lens:8989/api/v1")
        == "GET /api/v1/runs/r1/alerts of http://lens:8989/api/v1"
    )
    assert hide("posted to http://am.example:9093/api/v1/alerts") == "posted to ***"


def test_the_page_s_configurations_are_taken():
    """Every example of docs/sinks/webhook.md is one, and its body has the names of ours."""
    page = (Path(__file__).parents[3] / "docs/sinks/webhook.md").read_text()
    found = [block for block in blocks(page) if block.language in ("yaml", "json")]
    assert [block.language for block in found] == ["yaml", "yaml", "json", "yaml"]
    for block in found:
        if block.language == "yaml":
            assert config.build(load_yaml(block.code), {}).sinks
        else:
            assert set(json.loads(block.code)) == set(PLACEHOLDERS) - {"exit_code"}
