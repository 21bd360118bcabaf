"""Made-up records of any mapping's template: every place filled, half-filled, odd or missing, from a handed-in chance.

Keys come from a small pool, so that two records of one chance have elements in common; texts hold composed and
decomposed letters, Sámi letters, both line ends, control characters and brackets; codes are known, aliases, foreign
or decomposed. Records of formats that know only text hold only text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from random import Random

from hub.mappings.language import Mapping, Tree
from hub.mappings.language.codecs import Codec, Codes, FamilyFirst, Joined, Lines, Many, Number, Text, Truth
from hub.mappings.language.marked import Marked
from hub.mappings.language.pointers import Pointer, counts_rows, found_at
from hub.mappings.language.rules import Condition, Field, PlacedValues, Rows, Values
from hub.mappings.language.times import Day, Moment

_TEXTS = (
    "Skjønner meir når vi syng.",
    unicodedata.normalize("NFD", "Blåbærtur på søndag"),
    "Čáppa beaivi, ŋuorra, đ og ŧ i Guovdageaidnu",
    unicodedata.normalize("NFD", "Šillju ja áhkku"),
    "Linje ein\r\nlinje to\ttabulator",
    "Linje ein\nlinje to",
    "klokke\x07 og \x85 styreteikn",
    "  blankt i kantane  ",
    "Testbarn, Solskinn Nordlys",
    "[Helsestasjon 20.03.2026] Høyrsel følgjast opp.",
    "[PPT] Utan dag",
    "[Barnehage 01.02.2026] Eige merke",
    "[Ukjend stad 01.02.2026] berre hakeparentes",
    "[Helsestasjon 31.02.2026] ingen dag",
    "😀 emoji og \ud800 halv",
    "x",
)
_KEYS = 6


def chance_of(seed: int | str) -> Random:
    """Return the chance of a seed: the same one every time."""
    return Random(seed)  # noqa: S311 - made-up records keep no secret


class Records:
    """Makes records of one mapping's template."""

    def __init__(self, mapping: Mapping, chance: Random) -> None:
        self.tree = mapping.tree
        self.chance = chance
        self.only_text = mapping.payload != "json"
        self.used: set[tuple[str, str]] = set()

    def record(self) -> Tree:
        """Make one record that the mapping claims and can read."""
        self.used = set()
        record: Tree = {}
        required = self.tree.header.required
        for field in self.tree.fields:
            if isinstance(field, Values):
                _set(record, field.each, self._values(field))
            elif isinstance(field, PlacedValues):
                self._placed(record, field)
            elif field.name in required or self.chance.random() < 0.8:
                self._fill(record, field, sure=field.name in required)
        if isinstance(self.tree.writer, Field) and self.chance.random() < 0.9:
            self._fill(record, self.tree.writer, sure=False)
        self._lists(record, self.tree.rows, "")
        for condition in self.tree.header.when:
            self._meet(record, condition)
        return self._shuffled(record)

    def edited(self, record: Tree, other: Tree) -> Tree:
        """Make the same record after somebody's work in it: rows gone and moved, and what another record says."""
        edited = self._mixed(record, other, 3)
        for condition in self.tree.header.when:
            self._meet(edited, condition)
        self._unkey_doubles(edited, self.tree.rows, set())
        return edited

    def _mixed(self, record: Tree, other: Tree, depth: int) -> Tree:
        mixed: Tree = {}
        for name in dict.fromkeys([*record, *other]):
            here, there = record.get(name), other.get(name)
            if depth and isinstance(here, dict) and isinstance(there, dict):
                mixed[name] = self._mixed(here, there, depth - 1)
                continue
            either = record if self.chance.random() < 0.7 else other
            if name in either:
                mixed[name] = self._edited(either[name])
        return mixed

    def _unkey_doubles(self, holder: Tree, lists: tuple[Rows, ...], seen: set[tuple[str, object]]) -> None:
        """Take the keys from rows whose key another row has: the records that were mixed use the same few."""
        for rows in lists:
            items = found_at(holder, rows.each)
            for item in items if isinstance(items, list) and rows.slot is None else ():
                if not all(condition.holds(item) for condition in rows.where):
                    continue
                key = (rows.collection, repr([found_at(item, place) for place in rows.key]))
                if rows.key and not rows.within and found_at(item, rows.key[0]) is not None and key in seen:
                    _set(item, rows.key[0], None)
                seen.add(key)
                self._unkey_doubles(item, rows.nested, seen)

    def _edited(self, value: object) -> object:
        if isinstance(value, dict):
            return {name: self._edited(inner) for name, inner in value.items()}
        if isinstance(value, list):
            rows = [self._edited(one) for one in value if self.chance.random() < 0.85]
            if self.chance.random() < 0.4:
                self.chance.shuffle(rows)
            return rows
        return value

    def _lists(self, holder: Tree, lists: tuple[Rows, ...], home: str) -> None:
        for rows in lists:
            if rows.slot is not None:
                self._slot(holder, rows)
            elif self.chance.random() > 0.15:
                made = [self._row(rows, home) for _ in range(self.chance.randrange(4))]
                before = found_at(holder, rows.each)
                kept = before if isinstance(before, list) else []
                _set(holder, rows.each, None if not made and not kept and self.chance.random() < 0.5 else kept + made)

    def _slot(self, holder: Tree, rows: Rows) -> None:
        if self.chance.random() < 0.6:
            inner: Tree = holder if not rows.each else {}
            self._fields(inner, rows)
            self._lists(inner, rows.nested, "")
            if rows.each:
                _set(holder, rows.each, inner)

    def _row(self, rows: Rows, home: str) -> Tree:
        row: Tree = {}
        self._fields(row, rows)
        key = self._key(rows, home) if rows.key and self.chance.random() < 0.9 else None
        for place in rows.key if key else ():
            _set(row, place, key)
        self._lists(row, rows.nested, key or "")
        for condition in rows.where:
            self._meet(row, condition)
        return self._shuffled(row)

    def _fields(self, row: Tree, rows: Rows) -> None:
        for field in rows.fields:
            if self.chance.random() < 0.8:
                if isinstance(field, Values):
                    _set(row, field.each, self._values(field))
                elif isinstance(field, PlacedValues):
                    self._placed(row, field)
                else:
                    self._fill(row, field, sure=False)

    def _values(self, values: Values) -> list[Tree]:
        made: list[Tree] = [{} for _ in range(self.chance.randrange(3))]
        for value in made:
            for field in values.fields:
                if self.chance.random() < 0.8:
                    self._fill(value, field, sure=False)
        return made

    def _placed(self, row: Tree, field: PlacedValues) -> None:
        for inner in (one for place in field.places for one in place.fields):
            if self.chance.random() < 0.6:
                self._fill(row, inner, sure=False)

    def _key(self, rows: Rows, home: str) -> str | None:
        scope = f"{rows.collection}{rows.rule}{home}" if rows.within else rows.collection
        free = [key for key in (f"{rows.collection}-{n}" for n in range(_KEYS)) if (scope, key) not in self.used]
        if not free:
            return None
        key = self.chance.choice(free)
        self.used.add((scope, key))
        return key

    def _meet(self, tree: Tree, condition: Condition) -> None:
        if condition.test == "labels":
            pairs = tree.setdefault("pairs", {})
            assert isinstance(pairs, dict)
            pairs.update({word: pairs.get(word) for word in condition.words})
        elif not condition.holds(tree):
            words = {"is": self.chance.choice(condition.words or ("",)), "not": "anna", "has": "x"}
            _set(tree, condition.pointer, words[condition.test])

    def _fill(self, tree: Tree, field: Field, *, sure: bool) -> None:
        pieces = self._pieces(field, sure=sure)
        for place, value in zip(field.at, pieces, strict=True):
            if not counts_rows(place):
                _set(tree, place, value)

    def _pieces(self, field: Field, *, sure: bool) -> list[object]:
        if field.target.reference:
            return [f"{field.target.reference}-{self.chance.randrange(_KEYS + 1)}" for _ in field.at]
        if sure:
            return ["Solskinn" for _ in field.at]
        if isinstance(field.codec, Joined) and not isinstance(field.codec.inner, Text):
            pieces = str(self._source(field.codec.inner) or "").split(field.codec.separator, len(field.at) - 1)
            return [*pieces, *[None] * (len(field.at) - len(pieces))]
        return [self._source(field.codec) for _ in field.at]

    def _source(self, codec: Codec) -> object:
        if self.chance.random() < 0.12:
            return None
        return _MAKERS[type(codec)](self, codec)

    def text(self, _codec: Codec) -> object:
        """Some text, now and then as a number."""
        if not self.only_text and self.chance.random() < 0.1:
            return self.chance.choice([7, 2.5])
        return self.chance.choice(_TEXTS)

    def lines(self, _codec: Codec) -> object:
        """A list of texts."""
        return [self.text(_codec) for _ in range(self.chance.randrange(4))]

    def code(self, codec: Codec) -> object:
        """A code: known, an alias, spelt in other ways, foreign or blank."""
        assert isinstance(codec, Codes)
        code = self.chance.choice([*codec.source, *([codec.by_writer] if codec.by_writer else [])])
        odd: list[object] = [code, code, code, unicodedata.normalize("NFD", code), f" {code}", code.upper(), "", "  "]
        foreign: list[object] = [] if codec.policy == "hold" else ["HEILT_UKJEND", "99" if self.only_text else 99]
        return self.chance.choice([one for one in odd if codec.policy != "hold" or one != code.upper()] + foreign)

    def day(self, codec: Codec) -> object:
        """A date in any of the rule's formats, perhaps without zeros."""
        assert isinstance(codec, Day)
        at = self._date()
        written = Day(0, (self.chance.choice(codec.formats),)).encode(at, None)
        return self.chance.choice([written, written, str(written).lstrip("0"), ""])

    def _date(self) -> date:
        return date(2026, self.chance.randrange(10, 13), self.chance.randrange(1, 29))

    def moment(self, codec: Codec) -> object:
        """A time in any of the rule's formats and in several zones."""
        assert isinstance(codec, Moment)
        day = self._date()
        at = datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC)
        if "iso" not in codec.formats:
            return Moment(0, codec.zone, (self.chance.choice(codec.formats),)).encode(at, None)
        iso = at.isoformat()
        forms = [iso, iso.replace("+00:00", "Z"), iso.replace("+00:00", "+02:00"), ""]
        return self.chance.choice([*forms, iso.removesuffix("+00:00")] if codec.zone else forms)

    def many(self, codec: Codec) -> object:
        """A list, or one text of it."""
        assert isinstance(codec, Many)
        items = [self._source(codec.item) for _ in range(self.chance.randrange(4))]
        return codec.separator.join(str(one) for one in items if one is not None) if codec.separator else items

    def number(self, _codec: Codec) -> object:
        """A whole number, as text too."""
        return self.chance.choice(["0", "3", "-2", "17", "1 024,00", ""] if self.only_text else [0, 3, -2, "17", 5.0])

    def truth(self, codec: Codec) -> object:
        """Yes, no, neither or nothing."""
        assert isinstance(codec, Truth)
        if codec.words:
            return self.chance.choice([*codec.words[0], *codec.words[1], "veit ikkje", ""])
        return self.chance.choice([True, False])

    def _shuffled(self, tree: Tree) -> Tree:
        if self.chance.random() < 0.5:
            tree["framandFelt"] = {"djupt": ["1", None, {"æ": "ø"}]}
        names = list(tree)
        self.chance.shuffle(names)
        return {name: tree[name] for name in names}


_MAKERS: dict[type, Callable[[Records, Codec], object]] = {
    Codes: Records.code, Day: Records.day, FamilyFirst: Records.text, Joined: Records.text, Lines: Records.lines,
    Many: Records.many, Marked: Records.text, Moment: Records.moment, Number: Records.number, Text: Records.text,
    Truth: Records.truth,
}  # fmt: skip


def _set(tree: Tree, pointer: Pointer, value: object) -> None:
    for name in pointer[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[pointer[-1]] = value
