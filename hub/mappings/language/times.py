"""Dates and points in time: the forms in which records write them, each strict enough to be restored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from hub.mappings.language.errors import Refused

_DIGITS = {"%Y": "[0-9]{4}", "%d": "[0-9]{1,2}", "%m": "[0-9]{1,2}", "%H": "[0-9]{1,2}", "%M": "[0-9]{2}",
           "%S": "[0-9]{2}"}  # fmt: skip
_WIDTHS = {"%Y": 4, "%d": 2, "%m": 2, "%H": 2, "%M": 2, "%S": 2}
_LETTERS = {"%d": "dd", "%m": "mm", "%Y": "yyyy", "%H": "hh", "%M": "mm", "%S": "ss"}


@dataclass(frozen=True)
class Day:
    """A date in one of several formats: "iso", or `%d`, `%m` and `%Y` once each. The first is written.

    Read with or without leading zeros, years always with four digits.
    """

    rule: int
    formats: tuple[str, ...] = ("iso",)
    default: date | None = None

    def decode(self, raw: object, strange: object) -> date | None:  # noqa: ARG002 - every codec is called alike
        """Return the date, or the default where there is none."""
        if raw is None or raw == "":
            return self.default
        if isinstance(raw, str):
            for written in self.formats:
                found = parse_day(raw, written)
                if found is not None:
                    return found
            if not raw.strip():
                return self.default
        raise Refused(self.rule, f"a date as {_shown(self.formats, '%Y-%m-%d')}")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Write the date with leading zeros."""
        return write_day(value, self.formats[0]) if isinstance(value, date) else None


@dataclass(frozen=True)
class Moment:
    """A point in time in one of several formats: "iso" (ISO 8601), or `%d %m %Y %H %M` and perhaps `%S`, local.

    With `zone`, a time without one is local there, and so it is written; without it, iso is written in UTC with Z.
    """

    rule: int
    zone: ZoneInfo | None = None
    formats: tuple[str, ...] = ("iso",)

    def decode(self, raw: object, strange: object) -> datetime | None:  # noqa: ARG002 - every codec is called alike
        """Return the instant in UTC."""
        if raw is None or raw == "":
            return None
        if isinstance(raw, str):
            for written in self.formats:
                found = self._parse(raw, written)
                if found is not None:
                    return found
            if not raw.strip():
                return None
        raise Refused(self.rule, f"a time as {_shown(self.formats, '2026-04-20T12:00:00+02:00')}")

    def _parse(self, raw: str, written: str) -> datetime | None:
        try:
            at = datetime.fromisoformat(raw.strip()) if written == "iso" else _local(raw, written)
            at = at.replace(tzinfo=at.tzinfo or self.zone) if at else None
            return at.astimezone(UTC) if at and at.tzinfo else None
        except (ValueError, OverflowError):
            return None

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Write the instant in the first format; the second of two equal local hours has no form in a local one."""
        if not isinstance(value, datetime):
            return None
        if self.zone is None:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        local = value.astimezone(self.zone)
        if self.formats[0] == "iso":
            return local.isoformat()
        return None if local.fold else _write(local, self.formats[0])


def _shown(formats: tuple[str, ...], iso: str) -> str:
    """Write formats in letters that people know."""
    shown = []
    for written in formats:
        text = iso if written == "iso" else written
        for sign, letters in _LETTERS.items():
            text = text.replace(sign, letters)
        shown.append(text)
    return " or ".join(shown)


@lru_cache(maxsize=64)
def _pattern(written: str) -> re.Pattern[str]:
    pattern = re.escape(written)
    for sign, digits in _DIGITS.items():
        pattern = pattern.replace(sign, f"(?P<{sign[1]}>{digits})")
    return re.compile(pattern)


@lru_cache(maxsize=8192)
def parse_day(text: str, written: str) -> date | None:
    """Return the date that a text says in a format, or None. The same few hundred days come again and again."""
    try:
        if written == "iso":
            return date.fromisoformat(text.strip())
        match = _pattern(written).fullmatch(text.strip())
        return date(int(match["Y"]), int(match["m"]), int(match["d"])) if match else None
    except ValueError:
        return None


def _local(text: str, written: str) -> datetime | None:
    match = _pattern(written).fullmatch(text.strip())
    if match is None:
        return None
    found = {sign: int(digits) for sign, digits in match.groupdict().items()}
    return datetime(found["Y"], found["m"], found["d"], found["H"], found["M"], found.get("S", 0))  # noqa: DTZ001


@lru_cache(maxsize=8192)
def write_day(day: date, written: str) -> str:
    """Write a date in a format; `strftime` would drop the zeros of early years."""
    return day.isoformat() if written == "iso" else _write(day, written)


def _write(at: date, written: str) -> str:
    parts = {"%Y": at.year, "%m": at.month, "%d": at.day}
    if isinstance(at, datetime):
        parts |= {"%H": at.hour, "%M": at.minute, "%S": at.second}
    for sign, number in parts.items():
        written = written.replace(sign, f"{number:0{_WIDTHS[sign]}}")
    return written
