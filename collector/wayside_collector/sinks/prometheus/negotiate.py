"""Which format a scraper gets: its Accept header against the formats of the page. Pure.

Follows RFC 9110 section 12.5.1 (quality values, the most specific range decides) and Prometheus' "Scrape protocol
content negotiation": text 0.0.4 is the last resort, never an error, and a scraper that sends an escaping scheme is
told the one in use. That is `underscores`, unless the page may bear names as they were logged (the sink's option
`names: utf8`): then the scraper's own, in a format that has it.
"""

import re
from typing import NamedTuple

LEGACY = "underscores"
_SCHEMES = {
    "allow-utf-8": "allow-utf-8",
    "allow-utf8": "allow-utf-8",  # as an older page spelled it
    "underscores": LEGACY,
    "dots": "dots",
    "values": "values",
}
_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


class Format(NamedTuple):
    """How a page is written, and the Content-Type that says so. escaping: of names that only UTF-8 has."""

    openmetrics: bool
    content_type: str
    escaping: str = LEGACY


class _Offer(NamedTuple):
    media: str
    version: str
    openmetrics: bool


#: In the order of our preference, which counts only where the scraper has none.
_OFFERS = (_Offer("text/plain", "0.0.4", False), _Offer("application/openmetrics-text", "1.0.0", True))
_WITH_UTF8 = (*_OFFERS, _Offer("text/plain", "1.0.0", False))  # the text format that has names in quotes


class _Range(NamedTuple):
    """One range of an Accept header."""

    media: str
    parameters: dict[str, str]
    quality: float
    place: int


class _Match(NamedTuple):
    """What a range says about an offer. Greater is better once the most specific range was found."""

    specific: int
    quality: float
    first: int
    escaping: str


def negotiate(accept: str | None, *, utf8: bool = False) -> Format:
    """The format for an Accept header (None: there was none). Ranges that cannot be read are passed over. utf8: whether
    names may be such as only UTF-8 has.
    """
    ranges = [found for place, text in enumerate((accept or "").split(",")) if (found := _read(text, place))]
    best, chosen = _Match(0, 0.0, 0, ""), _OFFERS[0]
    for offer in _WITH_UTF8 if utf8 else _OFFERS:
        match = max((m for r in ranges if (m := _match(offer, r))), default=None)
        if match is not None and (match.quality, match.first) > (best.quality, best.first):  # so never one of 0
            best, chosen = match, offer
    content_type = f"{chosen.media}; version={chosen.version}; charset=utf-8"
    if not best.escaping:
        return Format(chosen.openmetrics, content_type)
    escaping = best.escaping if utf8 and chosen.version == "1.0.0" else LEGACY
    return Format(chosen.openmetrics, f"{content_type}; escaping={escaping}", escaping)


def _read(text: str, place: int) -> _Range | None:
    media, *rest = (piece.strip() for piece in text.split(";"))
    parameters = {}
    for piece in rest:
        key, _, value = piece.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    quality = parameters.pop("q", "1")
    if media.count("/") != 1 or not _QUALITY.fullmatch(quality):
        return None
    return _Range(media.lower(), parameters, float(quality), place)


def _match(offer: _Offer, asked: _Range) -> _Match | None:
    kind, _, subtype = asked.media.partition("/")
    if asked.media == offer.media:
        specific = 2
    elif subtype == "*" and kind in ("*", offer.media.partition("/")[0]):
        specific = int(kind != "*")
    else:
        return None
    version = asked.parameters.get("version", offer.version)
    if version != offer.version or asked.parameters.get("charset", "utf-8").lower() != "utf-8":
        return None
    escaping = _SCHEMES.get(asked.parameters.get("escaping", ""), "")
    return _Match(2 * specific + ("version" in asked.parameters), asked.quality, -asked.place, escaping)
