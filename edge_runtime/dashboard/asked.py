"""What a client may ask, and what is no question: the only messages there are, by WebSocket and by HTTP. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge_runtime.dashboard.feed import MOST_SOURCES, MOST_WATCHED

LONGEST_MESSAGE = 1024  # bytes
_LONGEST_SPAN = timedelta(days=32)
_MOST_BUCKETS = 2000
_LONGEST_SOURCE = 1024

# WebSocket close codes, RFC 6455 section 7.4.1
UNSUPPORTED, INVALID, POLICY, TRY_LATER = 1003, 1007, 1008, 1013


class Refused(Exception):
    """code: that of the WebSocket's close frame; the text is its reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Watch:
    """`{"watch": [0, 3]}`: show me the traces of these sources."""

    sources: tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """`{"seen": 17}`: your message 17 is on my screen."""

    number: int


def message_of(text: str) -> Watch | Seen:
    """Raises Refused."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(INVALID, "not JSON") from None
    match said:
        case {"watch": list(sources), **rest} if not rest:
            if len(sources) > MOST_WATCHED:
                raise Refused(POLICY, f"at most {MOST_WATCHED} traces at once")
            if any(type(i) is not int or not 0 <= i < MOST_SOURCES for i in sources):
                raise Refused(POLICY, "no such source")
            return Watch(tuple(dict.fromkeys(sources)))
        case {"seen": int(number), **rest} if not rest and type(number) is int and 0 <= number < 2**53:
            return Seen(number)
    raise Refused(POLICY, "no such message")


@dataclass(frozen=True)
class Stretch:
    """A stretch of the past. Times as the reports have them; bucket_s: what a point of its trends stands for."""

    source: str
    start_utc: str
    end_utc: str
    bucket_s: float


def source_of(query: Mapping[str, str]) -> str:
    """Raises ValueError, whose text is the answer."""
    source = query.get("source", "")
    if not 0 < len(source) <= _LONGEST_SOURCE:
        raise ValueError("give source=NAME")
    return source


def stretch_of(query: Mapping[str, str]) -> Stretch:
    """Raises ValueError, whose text is the answer."""
    source = source_of(query)
    start, end = _time(query, "start"), _time(query, "end")
    if not timedelta(0) < end - start <= _LONGEST_SPAN:
        raise ValueError(f"end must be after start, and at most {_LONGEST_SPAN.days} days")
    try:
        bucket_s = float(query.get("bucket_s", "60"))
    except ValueError:
        raise ValueError("bucket_s is a number of seconds") from None
    if not (1 <= bucket_s <= 86400 and (end - start).total_seconds() / bucket_s <= _MOST_BUCKETS):
        raise ValueError(f"bucket_s must be 1 to 86400, and leave at most {_MOST_BUCKETS} buckets")
    return Stretch(source, _utc(start), _utc(end), bucket_s)


def _time(query: Mapping[str, str], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(query[name][:40])
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        raise ValueError(f"{name} is a time such as 2026-11-21T00:00:00Z") from None


def _utc(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
