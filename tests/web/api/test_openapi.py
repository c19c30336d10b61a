"""The OpenAPI document is held to the code: schemathesis asks what it says may be asked, and what it says may not, and
compares every answer with what it promises.
"""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection
from wayside_collector.web.api.docs import docs_page
from wayside_collector.web.api.routes import ENDPOINTS, STREAMS, written
from web.api.history import filled
from web.api.serving_apart import served_apart

EXAMPLES = 10  #: of each endpoint and kind: some thousand requests in all
LONGEST = 8000  # bytes of a request; what is longer is refused before anybody looks at it


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document without streams, which never end."""
    return {**document, "paths": {path: one for path, one in document["paths"].items() if path not in STREAMS}}


SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(plain(written()))))
OPERATIONS = {one.ok().path: one.ok() for one in SCHEMA.get_all_operations()}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served_apart(filled(tmp_path_factory.mktemp("store"))) as url:
        yield f"{url}/api/v1"


POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
LENS = {endpoint.path for endpoint in ENDPOINTS if endpoint.lens}
ASKED = [
    (path, mode)
    for path in sorted(OPERATIONS)
    for mode in (POSITIVE, NEGATIVE)
    if path != "/health" or mode is POSITIVE
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("path", "mode"), ASKED, ids=[f"{path}-{mode.value}" for path, mode in ASKED])
def test_every_answer_is_as_promised(path: str, mode: GenerationMode, base: str) -> None:
    """Whatever is asked, the answer has a status and a body that the document names, and is never a 500."""
    # In Lens's envelope what is refused has status 200, too.
    unheld = [negative_data_rejection] if path in LENS else []

    @given(case=OPERATIONS[path].as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def ask(case: Any) -> None:
        assume(len(case.as_curl_command(headers={})) < LONGEST)
        case.call_and_validate(base_url=base, excluded_checks=unheld)

    ask()


def test_every_endpoint_stands_there() -> None:
    """Each path and parameter is documented, with a summary; the page for people names them all."""
    document = written()
    page = docs_page(document)
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path]["get"]
        assert operation["summary"]
        assert all(f"<code>{one['name']}</code>" in page for one in operation["parameters"])
        assert endpoint.path in page
    for path in STREAMS:
        assert path in document["paths"]
        assert path in page


def test_the_page_asks_nobody_else() -> None:
    """The page for people refers to nothing but itself and the document."""
    page = docs_page(written())
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
