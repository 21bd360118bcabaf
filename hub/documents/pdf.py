"""A log as a PDF: PDF/A-2a for the archive and PDF/UA-1 for everyone who reads with a screen reader, in one file.

The text travels to typst as JSON, so that nothing which people wrote is ever run. The same log, day and revision give
the same bytes. ISO 19005-2 and ISO 14289-1 ask for what the export then enforces: embedded fonts, Unicode text, tags,
language, title. A sign that no built-in font has is shown by its Unicode name, since leaving it out would change
what was written.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from functools import cache, partial
from pathlib import Path
from typing import Protocol, TypeAlias

import typst

from hub.documents.content import Block, Content, Edition
from hub.documents.words import Word
from hub.relaylog.codes import Language
from hub.relaylog.model import Label, RelayLog

Json: TypeAlias = "int | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"

_TEMPLATE = Path(__file__).with_name("relaylog.typ")
_ROUNDS = 4
_LONG_WORD, _LONGEST_COMPOUND = 20, 40
_LONG = re.compile(rf"\S{{{_LONG_WORD + 1},}}")
_PLACE_TO_BREAK = re.compile(rf"([@/_.-]|[^\s@/_.-]{{{_LONG_WORD}}})(?=\S)")
_ZERO_WIDTH_SPACE = "\u200b"
_MISSING = re.compile(r'the text `"(.+?)"` could not be displayed|contains the codepoint `"(.+?)"`')
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}|\\(.)")
_NOT_PRINTED = frozenset({"Cc", "Cs", "Co", "Cn"})
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that turn the direction of text, so that it reads otherwise than it was written."""

_PAGE, _OF = Label("Side", "Side", "Page"), Label("av", "av", "of")
SIGNS_NAMED = Label(
    "Tegn som ikke kan vises på trykk, står med navn i hakeparentes.",
    "Teikn som ikkje kan visast på trykk, står med namn i hakeparentes.",
    "Signs that cannot be shown in print stand by their names in brackets.",
)


class DocumentFailed(Exception):
    """A document could not be made. The message names it by an id and never shows its text."""


@dataclass(frozen=True)
class Sheet:
    """A document before it is typeset: its title lines, who makes it, its language, and its blocks in order."""

    title: str
    subtitle: str
    municipality: str
    language: Language
    blocks: tuple[Block, ...]


class MakeSheet(Protocol):
    """Makes a sheet; with `signs_named` it says that signs which no font has stand by their names."""

    def __call__(self, *, signs_named: bool) -> Sheet:
        """Return the sheet."""


def render(
    log: RelayLog,
    *,
    municipality: str,
    today: date,
    revision: int | None = None,
    left_out: tuple[str, ...] = (),
    periodic: bool = False,
) -> bytes:
    """Return a log as a PDF in the log's own language.

    `today` is the date that the document carries. `left_out` are sentences that say what a view withheld from the
    log; without any the document says that nothing is left out, which is true of a whole log only. `periodic` says
    that it is archived while it goes on. Raises DocumentFailed.
    """

    def sheet(*, signs_named: bool) -> Sheet:
        noted = (*left_out, SIGNS_NAMED.text(log.language)) if signs_named else left_out
        content, edition = Content(log), Edition(municipality, today, revision, noted, periodic)
        blocks = content.blocks(edition)
        title = f"{log.label.text(log.language)} – {log.subject.name or Word.UNNAMED.text(log.language)}"
        return Sheet(title, content.subtitle(edition), municipality, log.language, blocks)

    return typeset(f"log {log.id}", today, sheet)


def typeset(name: str, today: date, sheet: MakeSheet) -> bytes:
    """Return a document as a PDF that carries the date `today`; `name` is what an error calls it, an id.

    `sheet` is asked again, with `signs_named`, when signs have to be named: it then says so. Raises DocumentFailed.
    """
    try:
        return _typeset(name, today, sheet)
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of typst, which no one who expects exceptions catches
        raise DocumentFailed(f"{name}: typst broke off ({type(error).__name__}); report it with this id") from None


def _typeset(name: str, today: date, sheet: MakeSheet) -> bytes:
    signs = _unprintable(_document(sheet(signs_named=False), today))
    for _ in range(_ROUNDS):
        document = _document(sheet(signs_named=bool(signs)), today)
        made = _compile(_each(document, partial(_printable, signs=signs)), today)
        if isinstance(made, bytes):
            return made
        if not made - signs:
            break
        signs |= made
    raise DocumentFailed(
        f"{name}: typst could not make the document, and not for the sake of a missing sign; "
        "render it by hand in the sandbox to see why"
    )


def _document(sheet: Sheet, today: date) -> Json:
    return {
        "title": sheet.title,
        "subtitle": sheet.subtitle,
        "municipality": sheet.municipality,
        "language": sheet.language,
        "date": [today.year, today.month, today.day],
        "page": _PAGE.text(sheet.language),
        "of": _OF.text(sheet.language),
        "blocks": [asdict(block) for block in sheet.blocks],
    }


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)


def _compile(document: Json, today: date) -> bytes | frozenset[str]:
    """Return the PDF, or the pieces of text that no font can show."""
    try:
        return typst.compile(
            _TEMPLATE,
            root=_TEMPLATE.parent,
            font_paths=_fonts(),
            ignore_system_fonts=True,
            sys_inputs={"document": json.dumps(document)},
            pdf_standards=["a-2a", "ua-1"],
            timestamp=datetime.combine(today, time(), UTC),
        )
    except typst.TypstError as error:
        return frozenset(_unescaped(a or b) for a, b in _MISSING.findall(error.diagnostic))


def _unescaped(text: str) -> str:
    """Undo the escapes with which typst quotes a text in its messages."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _strings(tree: Json) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from _strings(inner)


def _each(tree: Json, change: Callable[[str], str]) -> Json:
    """Return the tree with every text changed."""
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _each(inner, change) for key, inner in tree.items()}
    return [_each(inner, change) for inner in tree] if isinstance(tree, list | tuple) else tree


def _unprintable(tree: Json) -> frozenset[str]:
    signs = {sign for text in _strings(tree) for sign in text}
    return frozenset(
        sign
        for sign in signs
        if sign in _OVERRIDES or (unicodedata.category(sign) in _NOT_PRINTED and not sign.isspace())
    )


def _printable(text: str, signs: frozenset[str]) -> str:
    """Return a text that the fonts can show: composed letters, named signs, long words with places to break."""
    text = unicodedata.normalize("NFC", "".join(" " if sign.isspace() and sign < " " else sign for sign in text))
    for sign in sorted(signs, key=len, reverse=True):
        text = text.replace(sign, "".join(map(_name, sign)))
    return _LONG.sub(lambda word: _breakable(word[0]), text)


def _name(sign: str) -> str:
    return f"[{unicodedata.name(sign, '').lower()} U+{ord(sign):04X}]".replace("[ ", "[")


def _breakable(word: str) -> str:
    """Give a long number, address or file name places to break; a Norwegian compound stays whole."""
    if len(word) <= _LONGEST_COMPOUND and word.strip('.,;:!?()«»"').isalpha():
        return word
    return _PLACE_TO_BREAK.sub(rf"\1{_ZERO_WIDTH_SPACE}", word)
