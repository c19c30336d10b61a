"""Which format a scraper gets."""

import pytest
from wayside_collector.sinks.prometheus import negotiate

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ESCAPED = "; escaping=underscores"

#: What Prometheus 2.30, 2.42 and 3.x send.
PROMETHEUS_2_30 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        (PROMETHEUS_2_30, TEXT),
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS + ESCAPED),
        (PROMETHEUS_3_PROTOBUF, OPENMETRICS + ESCAPED),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.7", TEXT),
        ("text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;q=0.7", OPENMETRICS),
        ("text/plain,application/openmetrics-text", TEXT),
        ("application/openmetrics-text,text/plain", OPENMETRICS),
        ("application/openmetrics-text;q=0,*/*", TEXT),
        ("text/plain;q=0,*/*", OPENMETRICS),
        ("text/*;q=0.4,application/openmetrics-text;q=0.3", TEXT),
        ("*/*;q=0.9,text/plain;q=0.1", OPENMETRICS),
        ("*/*;q=0.9,text/*;q=0.1", OPENMETRICS),
        ("text/*;q=0.1,*/*;q=0.9", OPENMETRICS),
        ("application/*;q=0,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;version=9.0.0", TEXT),
        ("image/png;q=1", TEXT),
        ("text/plain;version=0.0.4;escaping=values", TEXT + ESCAPED),
        ("text/plain;version=0.0.4;escaping=<script>", TEXT),
        ('Application/OpenMetrics-Text; Version="1.0.0"; Charset=UTF-8', OPENMETRICS),
        ("application/openmetrics-text;charset=latin-1", TEXT),
        ("application/openmetrics-text;q=nan,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=2,text/plain;q=0.1", TEXT),
        (",;=,/,a/b/c;q=,;;;", TEXT),
    ],
)
def test_the_scraper_gets_what_it_prefers_of_what_there_is(accept: str | None, content_type: str) -> None:
    """The highest quality among our formats wins, then the order of the header; text 0.0.4 is the last resort."""
    found = negotiate(accept)
    assert found.content_type == content_type
    assert found.openmetrics == content_type.startswith("application/openmetrics-text")
