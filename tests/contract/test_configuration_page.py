"""docs/configuration.md is held to the code: every option, and none that is not there."""

import re
from pathlib import Path

import pytest
from contract.option_rows import OptionRow, sections
from wayside_collector.configuration import config
from wayside_collector.configuration.yaml_text import load_yaml
from wayside_collector.sinks import SINKS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/configuration.md").read_text()
SECTIONS = sections()


def section(title: str) -> str:
    found = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in found if part.splitlines()[0] == title]
    return text


@pytest.mark.parametrize("title", SECTIONS)
def test_a_table_lists_the_options_of_its_struct(title: str) -> None:
    """Each with its type, default and variable as the code has them, in its order, and with words of what it does."""
    rows = [line for line in section(title).splitlines() if line.startswith("| `") and "| `WAYSIDE_" in line]
    listed = [line[: len(str(row))] for line, row in zip(rows, SECTIONS[title], strict=False)]
    wanted = [str(row) for row in SECTIONS[title]]
    assert listed == wanted and len(rows) == len(wanted), f"the table of {title!r} must have:\n" + "\n".join(wanted)  # noqa: PT018
    for line, row in zip(rows, wanted, strict=True):
        assert len(line[len(row) :].strip(" |")) > 3, f"say what it does: {row}"


def test_no_table_is_of_what_is_not_there() -> None:
    """Every variable in a table, the client's apart, is one of these options'."""
    known = {row.variable.strip("`") for rows in SECTIONS.values() for row in rows}
    tables = [
        line
        for line in PAGE.replace(section("The client"), "").splitlines()
        if line.startswith("| `") and "| `WAYSIDE_" in line
    ]
    listed = {re.findall(r"`(WAYSIDE_[A-Z_]+)`", line)[0] for line in tables}
    assert listed == known


def test_the_sinks_own_defaults() -> None:
    """The table of what each kind of sink takes when it is not told."""
    for name, kind in SINKS.items():
        traits = config.load_name(kind.sink).traits
        unit = {"row": "rows", "step": "complete steps"}[traits.unit] if traits.rows else "events"
        start = {"oldest": "the oldest stored row", "now": "now"}[traits.start]
        assert f"| {name} | {unit} | `{traits.ranks}` | `{str(traits.system).lower()}` | {start} |" in PAGE


def test_the_example_is_one() -> None:
    """The page's file is a configuration that the collector takes, with each of its parts in it."""
    (text,) = re.findall(r"```yaml\n(.*?)```", section("The file"), flags=re.DOTALL)
    found = config.build(load_yaml(text), {})
    assert {sink.name for sink in found.sinks} == {"prometheus", "jsonl", "wandb", "archive"}
    assert [sampler.name for sampler in found.samplers] == ["host", "nvidia"]


def test_every_variable_is_taken() -> None:
    """Each variable of the page reaches its option: a value that cannot be is refused under the option's path."""
    for title, rows in SECTIONS.items():
        for row in rows:
            said = _problems(title, row)
            path = row.variable.strip("`").removeprefix("WAYSIDE_").replace("__NAME__", "__LENS__").lower()
            assert any(one.startswith(path.replace("__", ".")) for one in said), (row.variable, said)


def _problems(title: str, row: OptionRow) -> list[str]:
    """What is said of a value that no option takes: a number where there must be text and text where a number."""
    variable = row.variable.strip("`").replace("__NAME__", "__LENS__")
    environ = {"WAYSIDE_SINKS__LENS__ENDPOINT": "http://lens:8989/v1"}
    environ[variable + "__NOWHERE__WAYSIDE"] = "$x"  # taken by no option, nor by a template
    try:
        config.build({}, environ)
    except config.ConfigError as refused:
        return refused.problems
    return []


def test_the_clients_variables() -> None:
    """Every variable that the client reads as an option stands in its table, with its W&B name, and none besides."""
    source = (ROOT / "client/wayside/settings.py").read_text()
    read = set(re.findall(r"\"((?:WAYSIDE|WANDB)_[A-Z_]+)\"", source))
    assert set(re.findall(r"^\| `(WAYSIDE_[A-Z_]+)`", section("The client"), flags=re.MULTILINE)) == {
        name for name in read if name.startswith("WAYSIDE")
    }
    assert {name for name in read if name.startswith("WANDB")} <= set(re.findall(r"WANDB_[A-Z_]+", PAGE))


def test_links_lead_somewhere() -> None:
    """Both to the page's own headings and to other files."""
    headings = {
        re.sub(r"[^\w\- ]", "", line[3:]).lower().replace(" ", "-") for line in PAGE.splitlines() if line[:3] == "## "
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert target[1:] in headings if target[0] == "#" else (ROOT / "docs" / target).is_file(), target
