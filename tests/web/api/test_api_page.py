"""docs/api.md is held to the code: its examples are asked of `history.py`, and every path stands there."""

import json
import re
from pathlib import Path

import pytest
from wayside_collector.web.api.routes import ENDPOINTS, STREAMS
from web.api.asking import asking
from web.api.history import filled

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
EXAMPLE = re.compile(r"```json\n// GET (?P<path>\S+)\n(?P<body>.*?)```", re.DOTALL)


@pytest.mark.asyncio
async def test_every_example_is_an_answer(tmp_path: Path) -> None:
    """Each example body is what the API answers to the question above it."""
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) >= 8
    async with asking(filled(tmp_path)) as ask:
        for path, body in examples:
            assert await ask.get(path.removeprefix("/api/v1")) == json.loads(body), path


def test_every_path_stands_there() -> None:
    """The page names each endpoint."""
    text = PAGE.read_text().replace("/training/{uid}/", "/training/{workload_id}/")
    for path in (*(endpoint.path for endpoint in ENDPOINTS), *STREAMS):
        assert path in text, path
