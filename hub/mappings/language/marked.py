"""The mark of a text that another service wrote: its service and date in brackets, stripped again on reading."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date

from hub.mappings.language.codecs import Strange, text_of
from hub.mappings.language.times import parse_day, write_day
from hub.relaylog.codes import Service

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
        writer = _SERVICES.get(unicodedata.normalize("NFC", match[1].strip())) if match else None
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
