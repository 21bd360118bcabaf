"""Made-up records of any mapping's template: every place filled, half-filled, odd or missing, from a handed-in chance.

Keys come from a small pool, so that two records of one chance have elements in common; texts hold composed and
decomposed letters, line breaks, control characters and brackets; codes are known, aliases, foreign or decomposed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from random import Random

from hub.mappings.language import Mapping, Tree
from hub.mappings.language.codecs import Codec, Codes, Day, Joined, Many, Marked, Moment, Number, Truth, write_day
from hub.mappings.language.rules import Field, Pointer, Rows, Values

_TEXTS = (
    "Skjønner meir når vi syng.",
    unicodedata.normalize("NFD", "Blåbærtur på søndag"),
    "Linje ein\r\nlinje to\ttabulator",
    "klokke\x07 og \x85 styreteikn",
    "  blankt i kantane  ",
    "[Helsestasjon 20.03.2026] Høyrsel følgjast opp.",
    "[PPT] Utan dag",
    "[Barnehage 01.02.2026] Eige merke",
    "[Ukjend stad 01.02.2026] berre hakeparentes",
    "[Helsestasjon 31.02.2026] ingen dag",
    "😀 emoji og \ud800 halv",
    "x",
    7,
    2.5,
)


class Records:
    """Makes records of one mapping's template."""

    def __init__(self, mapping: Mapping, chance: Random) -> None:
        self.tree = mapping.tree
        self.chance = chance
        self.keys: dict[str, list[str]] = {}
        self.used: set[str] = set()

    def record(self) -> Tree:
        """Make one record that the mapping claims and can read."""
        self.used = set()
        record: Tree = {}
        required = self.tree.header.required
        for field in self.tree.fields:
            assert isinstance(field, Field)
            if field.name in required or self.chance.random() < 0.8:
                self._fill(record, field, sure=field.name in required)
        if isinstance(self.tree.writer, Field) and self.chance.random() < 0.9:
            self._fill(record, self.tree.writer, sure=False)
        self._lists(record, self.tree.rows)
        for pointer, word in self.tree.header.when:
            _set(record, pointer, word)
        return self._shuffled(record)

    def _lists(self, holder: Tree, lists: tuple[Rows, ...]) -> None:
        for rows in lists:
            if self.chance.random() < 0.15:
                continue
            made = [self._row(rows) for _ in range(self.chance.randrange(4))]
            before = _get(holder, rows.each)
            kept = before if isinstance(before, list) else []
            _set(holder, rows.each, None if not made and not kept and self.chance.random() < 0.5 else kept + made)

    def _row(self, rows: Rows) -> Tree:
        row: Tree = {}
        for field in rows.fields:
            if self.chance.random() < 0.8:
                if isinstance(field, Values):
                    _set(row, field.each, [self._value(field) for _ in range(self.chance.randrange(3))])
                else:
                    self._fill(row, field, sure=False)
        if rows.key and self.chance.random() < 0.9:
            _set(row, rows.key, self._key(rows.collection))
        self._lists(row, rows.nested)
        for pointer, word in rows.where:
            _set(row, pointer, word)
        return self._shuffled(row)

    def _value(self, values: Values) -> Tree:
        value: Tree = {}
        for field in values.fields:
            if self.chance.random() < 0.8:
                self._fill(value, field, sure=False)
        return value

    def _key(self, collection: str) -> str | None:
        free = [key for key in (f"{collection}-{n}" for n in range(6)) if key not in self.used]
        if not free:
            return None
        key = self.chance.choice(free)
        self.used.add(key)
        return key

    def _fill(self, tree: Tree, field: Field, *, sure: bool) -> None:
        for place in field.at:
            if field.target.reference:
                value: object = f"{field.target.reference}-{self.chance.randrange(7)}"
            elif sure:
                value = "Solskinn"
            else:
                value = self._source(field.codec)
            _set(tree, place, value)

    def _source(self, codec: Codec) -> object:
        if self.chance.random() < 0.12:
            return None
        makers: dict[type, Callable[[Codec], object]] = {
            Codes: self._code, Day: self._day, Many: self._many, Moment: self._moment, Number: self._number,
            Truth: self._truth, Joined: self._text, Marked: self._text,
        }  # fmt: skip
        return makers.get(type(codec), self._text)(codec)

    def _text(self, _codec: Codec) -> object:
        return self.chance.choice(_TEXTS)

    def _code(self, codec: Codec) -> object:
        assert isinstance(codec, Codes)
        known = [*codec.source, *([codec.by_writer] if codec.by_writer else [])]
        code = self.chance.choice(known)
        odd: list[object] = [code, code, code, unicodedata.normalize("NFD", code), f" {code}", ""]
        return self.chance.choice(odd if codec.policy == "hold" else [*odd, "HEILT_UKJEND", 99])

    def _day(self, codec: Codec) -> object:
        assert isinstance(codec, Day)
        written = write_day(self._date(), codec.format)
        return self.chance.choice([written, written, written if codec.format == "iso" else written.lstrip("0"), ""])

    def _date(self) -> date:
        return date(2026, self.chance.randrange(1, 13), self.chance.randrange(1, 29))

    def _moment(self, codec: Codec) -> object:
        assert isinstance(codec, Moment)
        day = self._date()
        at = datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC).isoformat()
        forms = [at, at.replace("+00:00", "Z"), at.replace("+00:00", "+02:00")]
        return self.chance.choice([*forms, at.removesuffix("+00:00")] if codec.zone else forms)

    def _many(self, codec: Codec) -> object:
        assert isinstance(codec, Many)
        return [self._source(codec.item) for _ in range(self.chance.randrange(4))]

    def _number(self, _codec: Codec) -> object:
        return self.chance.choice([0, 3, -2, "17", ""])

    def _truth(self, codec: Codec) -> object:
        assert isinstance(codec, Truth)
        return self.chance.choice([*codec.words, "veit ikkje", True] if codec.words else [True, False])

    def _shuffled(self, tree: Tree) -> Tree:
        if self.chance.random() < 0.5:
            tree["framandFelt"] = {"djupt": [1, None, {"æ": "ø"}]}
        names = list(tree)
        self.chance.shuffle(names)
        return {name: tree[name] for name in names}


def _get(tree: Tree, pointer: Pointer) -> object:
    value: object = tree
    for name in pointer:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _set(tree: Tree, pointer: Pointer, value: object) -> None:
    for name in pointer[:-1]:
        inner = tree.setdefault(name, {})
        assert isinstance(inner, dict)
        tree = inner
    tree[pointer[-1]] = value
