"""`check`: the file by its name alone, or by the option that every other command has."""

from pathlib import Path

import pytest
from wayside_collector.cli import main


@pytest.mark.parametrize("option", [[], ["-c"], ["--config"]])
@pytest.mark.parametrize(("text", "code"), [("listen: 127.0.0.1:0\n", 0), ("liste: 1\n", 2)])
def test_the_file_is_named_either_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], text: str, code: int
) -> None:
    """The answer is the same, and names the file."""
    written = tmp_path / "wayside.yaml"
    written.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["check", *option, str(written)])
    told = capsys.readouterr()
    assert ended.value.code == code
    assert str(written) in told.out + told.err


@pytest.mark.parametrize("given", [[], ["a.yaml", "-c", "b.yaml"]])
def test_one_file_must_be_named(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    """None, or two, are a mistake that is told."""
    with pytest.raises(SystemExit) as ended:
        main(["check", *given])
    assert ended.value.code == 2
    assert "FILE" in capsys.readouterr().err
