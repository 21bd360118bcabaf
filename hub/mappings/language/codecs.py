"""Codecs: how one value looks in a record, and what it is in the relay log. Each reads and writes.

A codec never changes what it can't restore: where a value has no form in the source, `encode` gives None and the
record keeps what it has. Anything but the expected shape is refused with the remedy, never shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from hub.mappings.language.errors import Refused

Strange = list[tuple[int, str]]
"""Foreign codes met while reading one element: the rule's number and the code as it stood."""

Policy = Literal["keep", "hold", "default"]
"""What becomes of a foreign code: kept beside `unknown`, refused, or read as the default."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BLANKS = str.maketrans("", "", " \u00a0\u2009\u202f")
_WHOLE = re.compile(r"(-?[0-9]{1,18})(?:,0+)?")


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
    """Return a source value as text: nothing is "", numbers are written out, control characters removed.

    Every kind of line end becomes a line feed.
    """
    if raw is None:
        return ""
    if isinstance(raw, str):
        return raw if raw.isprintable() else _CONTROL.sub("", raw.replace("\r\n", "\n").replace("\r", "\n"))
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
    """One value kept in several places, such as a first and a last name, or a day and a time.

    `inner` reads the joined text. Writing splits at the last separators.
    """

    rule: int
    separator: str
    places: int
    inner: Codec

    def decode(self, raw: object, strange: Strange) -> object:
        """Join the texts that are there, and read them as one."""
        pieces = raw if isinstance(raw, tuple) else ()
        return self.inner.decode(
            self.separator.join(filter(None, (text_of(one, self.rule) for one in pieces))), strange
        )

    def encode(self, value: object, present: object) -> tuple[str | None, ...] | None:  # noqa: ARG002
        """Return one text for each place. Places left over hold None, and repeated separators become one."""
        text = self.inner.encode(value, None)
        if text is None:
            return None
        pieces = [piece for piece in str(text).split(self.separator) if piece]
        head = max(1, len(pieces) - self.places + 1)
        placed: list[str | None] = [self.separator.join(pieces[:head]), *pieces[head:]]
        return tuple(placed + [None] * (self.places - len(placed)))


@dataclass(frozen=True)
class FamilyFirst:
    """A name written with the family name first, such as "Testbarn, Solskinn"; the relay log has it last."""

    rule: int
    separator: str

    def decode(self, raw: object, strange: Strange) -> str:  # noqa: ARG002 - every codec is called alike
        """Turn the name around at the first separator; a name without one stays as it is."""
        family, found, given = text_of(raw, self.rule).partition(self.separator.strip() or self.separator)
        return f"{given.strip()} {family.strip()}".strip() if found else family

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Put the last word first; None for a name that would not turn back to what it was."""
        given, _, family = str(value).rpartition(" ")
        text = f"{family}{self.separator}{given}" if given else family
        return text if self.decode(text, []) == value else None


@dataclass(frozen=True)
class Lines:
    """One text that the record keeps as a list of texts, such as paragraphs."""

    rule: int
    separator: str

    def decode(self, raw: object, strange: Strange) -> str:  # noqa: ARG002 - every codec is called alike
        """Join the texts of the list."""
        if raw is None:
            return ""
        if not isinstance(raw, list):
            raise Refused(self.rule, "a list of texts")
        return self.separator.join(text_of(one, self.rule) for one in raw)

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Split the text at every separator."""
        return str(value).split(self.separator)


@dataclass(frozen=True)
class Number:
    """A whole number; `as_text` writes its digits as text."""

    rule: int
    default: int = 0
    as_text: bool = False

    def decode(self, raw: object, strange: Strange) -> int:  # noqa: ARG002 - every codec is called alike
        """Return the number. Text counts too: digits, with blanks between thousands and zeros after a comma."""
        if raw is None:
            return self.default
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if isinstance(raw, float) and raw.is_integer():
            return int(raw)
        if isinstance(raw, str):
            digits = raw.translate(_BLANKS)
            match = _WHOLE.fullmatch(digits)
            if match or not digits:
                return int(match[1]) if match else self.default
        raise Refused(self.rule, "a whole number")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the number, or its digits."""
        return str(value) if self.as_text else value


@dataclass(frozen=True)
class Truth:
    """True, false, or not known. With words (for yes, for no; the first is written), any other means not known."""

    rule: int
    absent: bool | None
    words: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def decode(self, raw: object, strange: Strange) -> bool | None:  # noqa: ARG002 - every codec is called alike
        """Return true or false, or the absent value (None, or False where the model knows no None)."""
        if raw is None:
            return self.absent
        if self.words and isinstance(raw, str):
            return self._said.get(plain_word(raw).casefold(), self.absent)
        if isinstance(raw, bool):
            return raw
        if raw == "":
            return self.absent
        raise Refused(self.rule, f"a word such as {' and '.join(self._first)}" if self.words else "true or false")

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the word for true or false."""
        return self._first[0 if value else 1] if self.words else value

    @cached_property
    def _said(self) -> dict[str, bool]:
        yes, no = self.words or ((), ())
        return {**{word.casefold(): True for word in yes}, **{word.casefold(): False for word in no}}

    @cached_property
    def _first(self) -> tuple[str, ...]:
        return tuple(words[0] for words in self.words or ())


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
    policy: Policy = "keep"
    by_writer: str | None = None

    def decode(self, raw: object, strange: Strange) -> object:
        """Return the canonical code; letters may be composed or not, and large or small where only one code fits."""
        if raw is None or raw == "":
            return self.absent
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            raise Refused(self.rule, f"a code: {self.words}")
        word = plain_word(str(raw))
        if word in self.source:
            return self.source[word]
        if word == self.by_writer:
            return None
        if word.casefold() in self._folded:
            return self._folded[word.casefold()]
        return self._foreign(raw, word, strange)

    def _foreign(self, raw: object, word: str, strange: Strange) -> object:
        if not word or self.policy == "default":
            return self.absent
        if self.policy == "hold":
            raise Refused(self.rule, f"one of the codes {self.words}")
        strange.append((self.rule, text_of(raw, self.rule)))
        return self.unknown

    def encode(self, value: object, present: object) -> object:  # noqa: ARG002 - every codec is called alike
        """Return the source's code, or None where it has none for this value."""
        return self.target.get(value, self.by_writer)

    @cached_property
    def _folded(self) -> dict[str, object]:
        """Codes in small letters, without those that would then be one."""
        found: dict[str, set[object]] = {}
        for word, value in [*self.source.items(), *([(self.by_writer, None)] if self.by_writer else [])]:
            found.setdefault(word.casefold(), set()).add(value)
        return {word: next(iter(values)) for word, values in found.items() if len(values) == 1}

    @property
    def words(self) -> str:
        """The codes that the source knows, for errors."""
        return ", ".join([*self.source, *([self.by_writer] if self.by_writer else [])])


def plain_word(word: str) -> str:
    """Return a word without blanks around it, its letters composed."""
    return unicodedata.normalize("NFC", word.strip())


@dataclass(frozen=True)
class Many:
    """A list of texts or codes, or one text of them with `separator` between. Foreign codes of the record stay.

    `order` is that of the code list: the model keeps codes each once and in it.
    """

    rule: int
    item: Text | Codes
    order: tuple[object, ...] = ()
    separator: str = ""

    def decode(self, raw: object, strange: Strange) -> tuple[object, ...]:
        """Return the values; what reads as nothing is left out."""
        if self.separator and not self.order:
            return tuple(self._pieces(raw))
        found = [self.item.decode(one, strange) for one in self._items(raw)]
        if self.order:
            return tuple(code for code in self.order if code in found)
        return tuple(value for value in found if value != "")

    def _items(self, raw: object) -> list[object]:
        if raw is None:
            return []
        if self.separator:
            return list(self._pieces(raw))
        if not isinstance(raw, list):
            raise Refused(self.rule, "a list")
        return raw

    def _pieces(self, raw: object) -> Iterable[str]:
        return filter(None, map(str.strip, text_of(raw, self.rule).split(self._core)))

    @cached_property
    def _core(self) -> str:
        return self.separator.strip(" ") or self.separator

    def encode(self, value: object, present: object) -> object:
        """Return the values that the source can say, then the record's own codes that nobody else knows.

        A value that stands there already keeps its spelling. None where there is nothing to say. In a text, a
        separator inside a value becomes a blank.
        """
        values: Iterable[object] = value if isinstance(value, tuple) else ()
        spelt, foreign = self._present(present)
        written = [spelt.get(one, self.item.encode(one, None)) for one in values]
        if self.order:
            written = list(dict.fromkeys(written))
        items = [one for one in written if one is not None] + foreign
        if not self.separator:
            return items or None
        return self.separator.join(self._undivided(str(one)) for one in items) or None

    def _undivided(self, item: str) -> str:
        return " ".join(item.replace(self._core, " ").split()) if self._core in item else item

    def _present(self, raw: object) -> tuple[dict[object, object], list[object]]:
        """Return the record's items by the value that they say, and those that say nothing known."""
        spelt: dict[object, object] = {}
        foreign: list[object] = []
        for one in self._items(raw):
            strange: Strange = []
            value = self.item.decode(one, strange)
            if strange:
                foreign.append(one)
            else:
                spelt.setdefault(value, one)
        return spelt, foreign
