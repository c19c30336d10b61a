"""From a message to the body of a request, as Slack, Mattermost, Teams, PagerDuty, or a template want it. Pure.

What a training script wrote is data: none of these services is told to ring a channel's bell by it.
"""

import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from .message import Message

PLACEHOLDERS = (
    *("event", "level", "title", "text", "run", "name", "project", "rank", "host", "step", "time", "url", "exit_code"),
    "id",
)

_COLORS = {"INFO": "#2f81f7", "WARN": "#d29922", "ERROR": "#f85149"}
_TEAMS_COLORS = {"INFO": "accent", "WARN": "warning", "ERROR": "attention"}
_SEVERITIES = {"INFO": "info", "WARN": "warning", "ERROR": "error"}
_EARLIEST, _LATEST = 0.0, 253402300799.0  # years 1970 to 9999, which `datetime` can tell
_MAX_SUMMARY = 1024  # characters that PagerDuty takes


def encode(message: Message, form: str, template: dict[str, Any], page: str | None, routing_key: str | None) -> bytes:
    """The body. page: of the collector, for links. routing_key: PagerDuty's."""
    known = values_of(message, page)
    if template:
        return msgspec.json.encode(_filled(template, known))
    if form == "slack":
        return msgspec.json.encode(_attachment({name: _for_slack(value) for name, value in known.items()}, message))
    if form == "mattermost":
        return msgspec.json.encode(_attachment({name: _silent(value) for name, value in known.items()}, message))
    if form == "teams":
        return msgspec.json.encode(_card(known, message))
    if form == "pagerduty":
        return msgspec.json.encode(_page_somebody(known, message, routing_key or ""))
    return msgspec.json.encode({name: value for name, value in known.items() if value is not None})


def values_of(message: Message, page: str | None) -> dict[str, Any]:
    """What there is to tell, by name: our own body, and what templates may name."""
    from urllib.parse import quote

    found = {name: getattr(message, name) for name in PLACEHOLDERS if name not in ("event", "url", "time")}
    moment = datetime.fromtimestamp(min(max(message.time, _EARLIEST), _LATEST), UTC)
    found["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found["url"] = f"{page.rstrip('/')}/runs/{quote(message.run, safe='')}" if page else None
    found["event"] = message.kind
    return found


def _facts(known: dict[str, Any]) -> list[tuple[str, str]]:
    """What stands below the text, in a table of two columns."""
    names = ("project", "run", "rank", "host", "step", "exit_code")
    return [(name.replace("_", " ").capitalize(), str(known[name])) for name in names if known[name] not in (None, "")]


def _attachment(known: dict[str, Any], message: Message) -> dict[str, Any]:
    title = f"{known['level']}: {known['title']}"
    shown = {
        "fallback": f"{title} ({known['name']})",
        "color": _COLORS[message.level],
        "title": title,
        "text": known["text"],
        "fields": [{"title": name, "value": value, "short": True} for name, value in _facts(known)],
        "footer": "Wayside",
        "ts": int(message.time),
    }
    return {"text": known["name"], "attachments": [{**shown, **({"title_link": known["url"]} if known["url"] else {})}]}


def _for_slack(value: Any) -> Any:
    """Slack's three control characters, without which there is no mention and no link."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if isinstance(value, str) else value


def _silent(value: Any) -> Any:
    """An @ that calls nobody, for Mattermost."""
    return value.replace("@", "@\u200b") if isinstance(value, str) else value


def _card(known: dict[str, Any], message: Message) -> dict[str, Any]:
    """Teams takes an Adaptive Card in a message, from workflows and from what is left of its connectors."""
    head = {"type": "TextBlock", "size": "medium", "weight": "bolder", "wrap": True}
    body: list[dict[str, Any]] = [
        {**head, "text": f"{known['level']}: {known['title']}", "color": _TEAMS_COLORS[message.level]}
    ]
    if known["text"]:
        body.append({"type": "TextBlock", "text": known["text"], "wrap": True})
    body.append({"type": "FactSet", "facts": [{"title": name, "value": value} for name, value in _facts(known)]})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if known["url"]:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the run", "url": known["url"]}]
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _page_somebody(known: dict[str, Any], message: Message, routing_key: str) -> dict[str, Any]:
    """PagerDuty's Events API, version 2. One incident for a run and a title, however often it is told."""
    details = {name: value for name, value in known.items() if value is not None}
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": f"{message.run}/{message.title}"[:255],
        "payload": {
            "summary": f"{message.name}: {message.title}"[:_MAX_SUMMARY],
            "source": message.host or message.run,
            "severity": "critical" if message.kind == "crashed" else _SEVERITIES[message.level],
            "timestamp": known["time"],
            "component": message.name,
            "group": message.project,
            "class": message.kind,
            "custom_details": details,
        },
        "links": [{"href": known["url"], "text": "The run"}] if known["url"] else [],
    }


# --- templates -------------------------------------------------------------------------------------------------------


def _filled(value: Any, known: dict[str, Any]) -> Any:
    """A template with its texts replaced; a text that is a placeholder and nothing else becomes the value itself."""
    if isinstance(value, dict):
        return {key: _filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    alone = value.removeprefix("$").strip("{}")
    if value.startswith("$") and alone in known and value in (f"${alone}", f"${{{alone}}}"):
        return known[alone]
    words = {name: "" if inner is None else str(inner) for name, inner in known.items()}
    return string.Template(value).safe_substitute(words)


def unknown_placeholders(template: Any) -> list[str]:
    """Names in a template's texts that nothing takes the place of."""
    found = [name for text in _texts(template) for name in string.Template(text).get_identifiers()]
    return [name for name in dict.fromkeys(found) if name not in PLACEHOLDERS]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)
