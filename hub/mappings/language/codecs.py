"""Codecs: how one value looks in a record, and what it is in the relay log. Each reads and writes.

A codec never changes what it can't restore: where a value has no form in the source, `encode` gives None and the
record keeps what it has. Anything but the expected shape is refused with the remedy, never shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from hub.mappings.language.errors import Refused
from hub.relaylog.codes import Service

Strange = list[tuple[int, str]]
"""Foreign codes met while reading one element: the rule's number and the code as it stood."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Codec(Protocol):
    """Reads a source value into a canonical one, and back."""

    @property
    def rule(self) -> int:
        """The number of the rule it serves, for errors."""

    def decode(self, raw: object, strange: Strange) -> object:
        """Return the canonical value of a source value, None or nothing included. Raises Refused."""

    def encode(self, value: object, present: object) -> object:
        """Return the source form of a non-empty canonical value; `present` is what the record holds now."""


def text_of(raw: object, rule: int) -> str:
    """Return a source value as text: nothing is "", numbers are written out, control characters removed."""
    if raw is None:
        return ""
    if isinstance(raw, str):
        return raw if raw.isprintable() else _CONTROL.sub("", raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return str(raw)
    raise Refused(rule, "text")


@dataclass(frozen=True)
class Text:
    """Text as it is. Control characters other than tab and line feed are removed on reading."""

    rule: int
    default: str = ""

    def decode(self, raw: object, strange: Strange) -> str:  # noqa: ARG002 - every codec is called alike
        """Return the text, or the default where there is none."""
        return text_of(raw, self.rule) or self.default

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the text itself."""
        return value


@dataclass(frozen=True)
class Joined:
    """One text kept in several places, such as a first and a last name. Writing splits at the last separators."""

    rule: int
    separator: str
    places: int

    def decode(self, raw: object, strange: Strange) -> str:  # noqa: ARG002 - every codec is called alike
        """Join the texts that are there."""
        pieces = raw if isinstance(raw, tuple) else ()
        return self.separator.join(filter(None, (text_of(piece, self.rule) for piece in pieces)))

    def encode(self, value: object, present: object) -> tuple[str | None, ...]:  # noqa: ARG002
        """Return one text for each place. Places left over hold None, and repeated separators become one."""
        pieces = [piece for piece in str(value).split(self.separator) if piece]
        head = max(1, len(pieces) - self.places + 1)
        placed: list[str | None] = [self.separator.join(pieces[:head]), *pieces[head:]]
        return tuple(placed + [None] * (self.places - len(placed)))


@dataclass(frozen=True)
class Number:
    """A whole number."""

    rule: int
    default: int = 0

    def decode(self, raw: object, strange: Strange) -> int:  # noqa: ARG002 - every codec is called alike
        """Return the number; digits written as text count."""
        if raw is None or raw == "":
            return self.default
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,18}", raw):
            return int(raw)
        raise Refused(self.rule, "a whole number")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the number itself."""
        return value


@dataclass(frozen=True)
class Truth:
    """True, false, or not known. With words, any other word means not known."""

    rule: int
    absent: bool | None
    words: tuple[str, str] | None = None

    def decode(self, raw: object, strange: Strange) -> bool | None:  # noqa: ARG002 - every codec is called alike
        """Return true or false, or the absent value (None, or False where the model knows no None)."""
        if raw is None:
            return self.absent
        if self.words and isinstance(raw, str):
            word = _plain(raw)
            return {self.words[0]: True, self.words[1]: False}.get(word, self.absent)
        if isinstance(raw, bool):
            return raw
        raise Refused(self.rule, f"one of the words {' and '.join(self.words)}" if self.words else "true or false")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the word for true or false."""
        return self.words[0 if value else 1] if self.words else value


@dataclass(frozen=True)
class Day:
    """A date written as `format` says: `%d`, `%m` and `%Y` once each, or "iso". Read with or without leading zeros."""

    rule: int
    format: str = "iso"
    default: date | None = None

    def decode(self, raw: object, strange: Strange) -> date | None:  # noqa: ARG002 - every codec is called alike
        """Return the date, or the default where there is none."""
        if raw is None or raw == "":
            return self.default
        found = parse_day(raw, self.format) if isinstance(raw, str) else None
        if found is None:
            raise Refused(self.rule, f"a date as {self.words}")
        return found

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Write the date with leading zeros."""
        return write_day(value, self.format) if isinstance(value, date) else None

    @property
    def words(self) -> str:
        """The format in letters that people know."""
        shown = "%Y-%m-%d" if self.format == "iso" else self.format
        return shown.replace("%d", "dd").replace("%m", "mm").replace("%Y", "yyyy")


@lru_cache(maxsize=64)
def _day_pattern(written: str) -> re.Pattern[str]:
    pattern = re.escape(written).replace("%d", "(?P<d>[0-9]{1,2})").replace("%m", "(?P<m>[0-9]{1,2})")
    return re.compile(pattern.replace("%Y", "(?P<Y>[0-9]{4})"))


@lru_cache(maxsize=8192)
def parse_day(text: str, written: str) -> date | None:
    """Return the date that a text says in a format, or None. The same few hundred days come again and again."""
    try:
        if written == "iso":
            return date.fromisoformat(text.strip())
        match = _day_pattern(written).fullmatch(text.strip())
        return date(int(match["Y"]), int(match["m"]), int(match["d"])) if match else None
    except ValueError:
        return None


def write_day(day: date, written: str) -> str:
    """Write a date in a format; `strftime` would drop the zeros of early years."""
    if written == "iso":
        return day.isoformat()
    return written.replace("%d", f"{day.day:02}").replace("%m", f"{day.month:02}").replace("%Y", f"{day.year:04}")


@dataclass(frozen=True)
class Moment:
    """A point in time as ISO 8601 with a zone. With `zone`, a time without one is local there, and so it is written."""

    rule: int
    zone: ZoneInfo | None = None

    def decode(self, raw: object, strange: Strange) -> datetime | None:  # noqa: ARG002 - every codec is called alike
        """Return the instant in UTC."""
        if raw is None or raw == "":
            return None
        try:
            at = datetime.fromisoformat(raw) if isinstance(raw, str) else None
            at = at.replace(tzinfo=at.tzinfo or self.zone) if at else None
            if at and at.tzinfo:
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise Refused(self.rule, "a time as 2026-04-20T12:00:00+02:00")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Write the instant in the zone, or in UTC with Z."""
        if not isinstance(value, datetime):
            return None
        if self.zone:
            return value.astimezone(self.zone).isoformat()
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Codes:
    """A closed list. `source` reads (aliases too), `target` writes; `empty` is the code that is never written.

    A foreign code is kept (`unknown`, and reported), held (refused), or reads as the default. `by_writer` is the code
    that says no part of its own: None, and the writer decides.
    """

    rule: int
    source: dict[str, object]
    target: dict[object, object]
    absent: object
    unknown: object
    policy: Literal["keep", "hold", "default"] = "keep"
    by_writer: str | None = None

    def decode(self, raw: object, strange: Strange) -> object:
        """Return the canonical code; spelling may be composed or not."""
        if raw is None or raw == "":
            return self.absent
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            raise Refused(self.rule, f"a code: {self.words}")
        word = _plain(str(raw))
        if word in self.source:
            return self.source[word]
        if word == self.by_writer:
            return None
        if self.policy == "hold":
            raise Refused(self.rule, f"one of the codes {self.words}")
        if self.policy == "default":
            return self.absent
        strange.append((self.rule, text_of(raw, self.rule)))
        return self.unknown

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the source's code, or None where it has none for this value."""
        return self.target.get(value, self.by_writer)

    @property
    def words(self) -> str:
        """The codes that the source knows, for errors."""
        return ", ".join([*self.source, *([self.by_writer] if self.by_writer else [])])


def _plain(word: str) -> str:
    return unicodedata.normalize("NFC", word.strip())


@dataclass(frozen=True)
class Many:
    """A list of texts or codes. Foreign codes of the record stay in the list when it is written.

    `order` is that of the code list: the model keeps codes each once and in it.
    """

    rule: int
    item: Text | Codes
    order: tuple[object, ...] = ()

    def decode(self, raw: object, strange: Strange) -> tuple[object, ...]:
        """Return the values; what reads as nothing is left out."""
        if raw is None:
            return ()
        if not isinstance(raw, list):
            raise Refused(self.rule, "a list")
        found = [self.item.decode(one, strange) for one in raw]
        if self.order:
            return tuple(code for code in self.order if code in found)
        return tuple(value for value in found if value != "")

    def encode(self, value: object, present: object) -> list[object]:
        """Return the values that the source can say, then the record's own codes that nobody else knows."""
        values: Iterable[object] = value if isinstance(value, tuple) else ()
        written = [self.item.encode(one, None) for one in values]
        return [one for one in written if one is not None] + self._foreign(present)

    def _foreign(self, present: object) -> list[object]:
        kept: list[object] = []
        for one in present if isinstance(present, list) and isinstance(self.item, Codes) else []:
            strange: Strange = []
            self.item.decode(one, strange)
            kept += [one] * len(strange)
        return kept


_BRACKETS = re.compile(r"\[([^\[\]\n]{2,60}?)(?: ([0-9]{2}\.[0-9]{2}\.[0-9]{4}))?\] ?")
_SERVICES: dict[str, Service] = {label: s for s in Service for label in (s.nb, s.nn, s.en)}


@dataclass(frozen=True)
class Marked:
    """Text that shows in brackets which service wrote it and when, where that isn't one of the system's own.

    Read, it is (text, writer, date); writer is None where there is no mark.
    """

    rule: int
    own: frozenset[Service] = field(default_factory=frozenset)

    def decode(self, raw: object, strange: Strange) -> tuple[str, Service | None, date | None]:  # noqa: ARG002
        """Strip the mark. Brackets that name no service, or no real day, are part of the text."""
        text = text_of(raw, self.rule)
        match = _BRACKETS.match(text) if text[:1] == "[" else None
        writer = _SERVICES.get(_plain(match[1])) if match else None
        on = parse_day(match[2], "%d.%m.%Y") if match and match[2] else None
        if match is None or writer is None or (match[2] and on is None):
            return text, None, None
        return text[match.end() :], writer, on

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Write the text, with its mark where needed: `value` is (text, writer, date, unmarked's writer, language).

        Own text that happens to look marked is marked too, so that it reads back as it was.
        """
        if not isinstance(value, tuple):
            return None
        text, writer, on, unmarked, language = value
        if writer and (writer in self.own or writer is unmarked) and self.decode(text, [])[1] is None:
            return text
        label = (writer or Service.UNKNOWN).label(language)
        return f"[{label} {write_day(on, '%d.%m.%Y')}] {text}" if on else f"[{label}] {text}"

    def same(self, raw: object, text: str, writer: Service | None, on: date | None, unmarked: Service | None) -> bool:
        """Tell whether a record's text already says this."""
        found, marked, day = self.decode(raw, [])
        if marked is None:
            return found == text and (writer in self.own or writer is unmarked)
        return (found, marked, day) == (text, writer or Service.UNKNOWN, on)
