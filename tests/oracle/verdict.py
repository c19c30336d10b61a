"""Whether a world kept the rule, judged sink by sink from what the producers claimed and what arrived."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from wayside import wire

from .producer import SLOTS, payload, read_claims

if TYPE_CHECKING:
    from .world import Producer, World


class Line(msgspec.Struct):
    """What is looked at of a line of the jsonl sink."""

    step: int | None = None
    metrics: dict[str, float] | None = None


_LINE = msgspec.json.Decoder(Line)


def judge(world: "World", status: dict[str, Any]) -> list[str]:
    """What broke the rule; empty when nothing did. status: of a world where all is delivered."""
    problems: list[str] = []
    arrived = jsonl_rows(world, problems)
    missing: dict[str, int] = {}
    known: set[int] = set()
    for producer in world.producers:
        for slot in producer.slots():
            known.add(claimant := producer.number * SLOTS + slot)
            lost = _judge_claimant(producer, slot, arrived.get(claimant, Counter()), problems)
            run = f"producer-{producer.number}"
            missing[run] = missing.get(run, 0) + lost
    if set(arrived) - known:
        problems.append(f"rows arrived of claimants that never were: {sorted(set(arrived) - known)[:5]}")
    problems += _judge_books(world, status, missing)
    shown = [producer for producer in world.producers if producer.style == "shown"]
    expected = {one.number: sorted(arrived.get(one.number * SLOTS, ())) for one in shown}
    if world.receivers.lens:
        found = {number: world.receivers.lens_rows(number) for number in expected}
        problems += _compare("lens", status, expected, found, once=False)
    if world.receivers.wandb:
        found = {number: world.receivers.wandb_rows(f"producer-{number}") for number in expected}
        problems += _compare("wandb", status, expected, found, once=True)
    return problems + (_judge_page(world.page(), expected) if not world.clock_moved else [])


def _judge_claimant(producer: "Producer", slot: int, arrived: Counter[int], problems: list[str]) -> int:
    """How many rows that were accepted did not arrive."""
    issued, accepted, _ = read_claims(str(producer.claims), slot)
    skipped = producer.skipped if slot == 0 else set()
    missing = [number for number in range(accepted) if number not in arrived and number not in skipped]
    doubled = [number for number, count in arrived.items() if count > 1]
    never = [number for number in arrived if number >= issued]
    for what, rows in (("doubled", doubled), ("never issued", never)):
        if rows:
            problems.append(f"producer {producer.number}.{slot}: {len(rows)} rows {what}, such as {rows[:5]}")
    return len(missing)


def _judge_books(world: "World", status: dict[str, Any], missing: dict[str, int]) -> list[str]:
    """The books balance, and what is missing is what was booked as lost at the client, run by run."""
    problems = []
    for name, sink in status["sinks"].items():
        for unit in (sink, sink["rows"], sink["events"]):
            if unit["received"] != unit["delivered"] + unit["waiting"] + sum(unit["dropped"].values()):
                problems.append(f"the books of {name} do not balance: {sink}")
        if sink["dead_letters"]:
            problems.append(f"{name} has {sink['dead_letters']} dead letters: {sink['last_error']}")
    dropped = sum(status["sinks"]["jsonl"]["rows"]["dropped"].values())
    lost = world.lost()
    for run, count in missing.items():
        booked = lost.get(run, 0)
        if count > booked + dropped:
            problems.append(f"{run}: {count} rows accepted and missing, {booked} of them booked")
        if booked > count:
            problems.append(f"{run}: {booked} rows booked as lost, and only {count} are missing")
    return problems


# --- jsonl: exactly once ---------------------------------------------------------------------------------------------


def jsonl_rows(world: "World", problems: list[str]) -> dict[int, Counter[int]]:
    """Claimant to the numbers of the rows in the files, each payload compared."""
    arrived: dict[int, Counter[int]] = {}
    for path in sorted((world.folder / "jsonl").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = _LINE.decode(line)
            metrics = row.metrics
            if metrics is None:
                continue
            prefix = next(iter(metrics)).partition("/")[0]
            claimant, number = int(metrics[f"{prefix}/claimant"]), int(metrics[f"{prefix}/number"])
            if metrics != payload(claimant, number, prefix) or row.step != number:
                problems.append(f"claimant {claimant} row {number} arrived as {line[:200]!r}")
            arrived.setdefault(claimant, Counter())[number] += 1
    return arrived


# --- the others: for each producer of the style "shown", what jsonl has of it is what the spool got ---------------

Expected = dict[int, list[int]]


def _compare(
    sink: str, status: dict[str, Any], expected: Expected, found: dict[int, list[tuple[int, Any]]], *, once: bool
) -> list[str]:
    """The rows that one sink has, against those it should have; what it had to drop, as its books say, may be
    missing.
    """
    problems = []
    missing: list[tuple[int, int]] = []
    jsonl_dropped = sum(status["sinks"]["jsonl"]["rows"]["dropped"].values())
    for producer, rows in found.items():
        claimant = producer * SLOTS
        counts = Counter(int(metrics.get("shown/number", -1)) for _, metrics in rows)
        wrong = [
            (step, metrics)
            for step, metrics in rows
            if metrics != payload(claimant, int(metrics.get("shown/number", -1)), "shown")
            or step != metrics["shown/number"]
        ]
        missing += [(producer, number) for number in expected[producer] if number not in counts]
        unknown = sorted(set(counts).difference(expected[producer]))
        never = unknown if len(unknown) > jsonl_dropped else []  # what jsonl had to drop may have come to others before
        doubled = [number for number, count in counts.items() if count > 1] if once else []
        for what, some in (("never stored", never), ("doubled", doubled), ("changed", wrong)):
            if some:
                problems.append(f"{sink}: {len(some)} rows of producer {producer} {what}, such as {some[:5]}")
    dropped = sum(status["sinks"][sink]["rows"]["dropped"].values())
    if len(missing) > dropped:
        problems.append(f"{sink}: {len(missing)} rows missing, {dropped} of them booked, such as {missing[:5]}")
    return problems


def _judge_page(page: str, expected: Expected) -> list[str]:
    """Each run's final value."""
    problems = []
    for producer, rows in expected.items():
        last = final_value(page, f"producer-{producer}")
        if rows and last != rows[-1]:
            problems.append(f"prometheus shows row {last} of producer {producer}, and the last is {rows[-1]}")
    return problems


def final_value(page: str, run: str) -> int | None:
    """The row that `/metrics` shows of a run; None when the run is not shown."""
    for family in text_string_to_metric_families(page):
        if family.name == "wayside_shown_number":
            for sample in family.samples:
                if sample.labels.get("run") == run:
                    return int(sample.value)
    return None


def run_of(record: bytes) -> str:
    """The run's id in a session's stored record."""
    return str(wire.read_json(record, wire.scan(record).spans[0])["run"]["id"])
