"""Which format a scraper gets: its Accept header against the formats of the page. Pure.

Follows RFC 9110 section 12.5.1 (quality values, the most specific range decides) and Prometheus' "Scrape protocol
content negotiation": text 0.0.4 is the last resort, never an error, and a scraper that sends an escaping scheme is
told the one in use. Names of the page are in the legacy character set, whatever scheme was asked for, so that scheme
is `underscores`.
"""

import re
from typing import NamedTuple

_SCHEMES = ("allow-utf-8", "allow-utf8", "underscores", "dots", "values")  # allow-utf8: as an older page spelled it
_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")


class Format(NamedTuple):
    """How a page is written, and the Content-Type that says so."""

    openmetrics: bool
    content_type: str


class _Offer(NamedTuple):
    media: str
    version: str
    openmetrics: bool


#: In the order of our preference, which counts only where the scraper has none.
_OFFERS = (_Offer("text/plain", "0.0.4", False), _Offer("application/openmetrics-text", "1.0.0", True))


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
    escaping: bool


def negotiate(accept: str | None) -> Format:
    """The format for an Accept header (None: there was none). Ranges that cannot be read are passed over."""
    ranges = [found for place, text in enumerate((accept or "").split(",")) if (found := _read(text, place))]
    best, chosen = _Match(0, 0.0, 0, False), _OFFERS[0]
    for offer in _OFFERS:
        match = max((m for r in ranges if (m := _match(offer, r))), default=None)
        if match is not None and (match.quality, match.first) > (best.quality, best.first):  # so never one of 0
            best, chosen = match, offer
    content_type = f"{chosen.media}; version={chosen.version}; charset=utf-8"
    return Format(chosen.openmetrics, content_type + ("; escaping=underscores" if best.escaping else ""))


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
    escaping = asked.parameters.get("escaping") in _SCHEMES
    return _Match(2 * specific + ("version" in asked.parameters), asked.quality, -asked.place, escaping)
