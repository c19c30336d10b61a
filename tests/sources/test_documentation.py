"""The pages of the samplers list every name and every option, and none that is not there."""

import re
from pathlib import Path

import msgspec
import pytest
from wayside_collector.sources import cgroup, machine
from wayside_collector.sources.amd import AmdOptions
from wayside_collector.sources.gpu import AMD, METRICS, MIG_METRICS, NVIDIA, PROCESS_METRICS, Metric
from wayside_collector.sources.host import HostOptions
from wayside_collector.sources.nvidia import NvidiaOptions

PAGES = Path(__file__).parents[2] / "docs/sources"


def rows(page: str, *headings: str) -> set[str]:
    """The rows that begin with a name in code, of the tables below these headings."""
    sections = re.split(r"^## ", (PAGES / page).read_text(), flags=re.MULTILINE)
    chosen = [section for section in sections if section.splitlines()[0] in headings]
    assert len(chosen) == len(headings)
    return {line for section in chosen for line in section.splitlines() if line.startswith("| `")}


@pytest.mark.parametrize(
    ("vendor", "more"), [(NVIDIA, (*PROCESS_METRICS, *MIG_METRICS)), (AMD, PROCESS_METRICS)], ids=[NVIDIA, AMD]
)
def test_a_vendors_page_lists_its_names_with_unit_and_meaning(vendor: str, more: tuple[Metric, ...]) -> None:
    """As the table in the code has them, and no name besides."""
    promised = (*(metric for metric in METRICS if vendor in metric.vendors), *more)
    assert rows(f"{vendor}.md", "What is measured") == {f"| `{m.name}` | {m.unit} | {m.meaning} |" for m in promised}


def test_the_hosts_page_lists_its_names_with_their_meaning() -> None:
    """Both the machine's and the container's, and no name besides."""
    promised = {**machine.METRICS, **cgroup.METRICS}
    listed = rows("host.md", "The machine", "The container")
    assert listed == {f"| `{name}` | {meaning} |" for name, meaning in promised.items()}


@pytest.mark.parametrize(
    ("page", "options"), [("host.md", HostOptions), ("nvidia.md", NvidiaOptions), ("amd.md", AmdOptions)]
)
def test_a_page_lists_every_option(page: str, options: type[msgspec.Struct]) -> None:
    """Under its name, in the table of options at the top, and no option besides."""
    title = (PAGES / page).read_text().splitlines()[0]
    assert sorted(row.split("`")[1] for row in rows(page, title)) == sorted(options.__struct_fields__)
