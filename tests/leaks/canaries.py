"""Canaries: the shipped samples with a word of our own in every place for free text, and the search for that word.

A value is a place for free text where the mapping still reads the record and what it reads differs in that word alone.
What is left are codes, dates, numbers and keys. Equal values get equal canaries, so that signers stay guardians.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, MappingError
from hub.mappings.language.rules import Sample
from hub.payloads.base import Payload
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
from hub.relaylog.model import RelayLog

MARK = "zqkanari"
NUMBER = re.compile(r"(?<!\d)\d{11}(?!\d)")
PLACES_WITH_IDS = frozenset({"id", "goal", "measure", "concern", "element"})
INSIDE_FORMS = (b"word/document.xml", b"[Content_Types].xml", b"%PDF-1.")
"""What stands unpacked in a Word form or a PDF whose texts are packed: such a file may lie nowhere in clear."""


@dataclass(frozen=True)
class Canary:
    """One record full of canaries: its template, its file, its tree, and how many values are canaries."""

    mapping: Mapping
    name: str
    data: bytes
    tree: dict[str, Any]
    values: int

    @property
    def log(self) -> RelayLog:
        """Give what the record says."""
        return self.mapping.read(self.tree)


def canaries(child: str, *templates: str) -> list[Canary]:
    """Give every shipped sample, of all templates where none is named, as a canary.

    The open ones that name a child are all about `child`, a national id.
    """
    free = _words()
    return [
        _canary(mapping, sample, shipped()[mapping.id].parent, child, free)
        for mapping in map(load_shipped, templates or shipped())
        for sample in mapping.samples
    ]


def clear(data: bytes, numbers: Iterable[str] = ()) -> list[str]:
    """Return what of the canaries, or of national ids, stands in bytes: plain, as UTF-16, in hex or in base64."""
    low = data.lower()
    plain = [name for name, form in _forms(MARK).items() if form.lower() in low]
    spelt = [name for name, form in _base64(MARK) if form in data]
    ids = ["a national id" for number in numbers if number.encode() in data or number.encode("utf-16-le") in data]
    return [*plain, *spelt, *ids, *(form.decode() for form in INSIDE_FORMS if form in data)]


def _forms(word: str) -> dict[str, bytes]:
    encoded = word.encode()
    return {"plain": encoded, "UTF-16": word.encode("utf-16-le"), "hex": encoded.hex().encode()}


def _base64(word: str) -> Iterator[tuple[str, bytes]]:
    """Yield what base64 makes of a word that begins at any of three places, without what its neighbours decide."""
    for case in (word, word.capitalize(), word.upper()):
        for shift in range(3):
            yield "base64", base64.b64encode(b" " * shift + case.encode())[4 if shift else 0 : -4]


def _words() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{MARK.capitalize()}{number}x"


def _canary(mapping: Mapping, sample: Sample, folder: Path, child: str, free: Iterator[str]) -> Canary:
    form, original = payload(mapping.payload, mapping.payload_options), (folder / sample.record).read_bytes()
    tree = decoded(form, original)
    log = mapping.read(tree)
    if log.subject.national_id and str(log.status) in ("active", "unknown") and str(log.subject.kind) == "child":
        replace(tree, log.subject.national_id, child)
    words: dict[str, str] = {}
    for value in sorted({text for text in texts(tree) if text.strip() and not NUMBER.fullmatch(text)}, key=_pieces):
        for written in _candidates(value, next(free), words):
            before = mapping.read(tree)
            replace(tree, value, written)
            if _is_free(mapping, tree, before) and _writable(form, tree, original):
                words[value] = written
                break
            replace(tree, written, value)
    name = Path(sample.record)
    return Canary(mapping, f"{name.stem}{name.suffix}", _encoded(form, tree, original), tree, len(words))


def _candidates(value: str, word: str, words: dict[str, str]) -> Iterator[str]:
    """Yield what may stand in a value's place: a word, one after a service's mark, or those of the names in a list."""
    yield word
    if value.startswith("["):
        yield f"{value.partition(']')[0]}] {word}"
    for separator in ("; ", ", "):
        if all(name in words for name in value.split(separator)):
            yield separator.join(words[name] for name in value.split(separator))


def _pieces(value: str) -> tuple[bool, str]:
    """Sort lists of names after the names."""
    return ";" in value or "," in value, value


def _is_free(mapping: Mapping, tree: dict[str, Any], before: RelayLog) -> bool:
    """Tell whether a canary stands where any text may: it is read back as it is, and nothing else is read otherwise."""
    try:
        if not mapping.claims(tree):
            return False
        now = dict(_leaves(mapping.read(tree).model_dump(mode="json")))
    except MappingError:
        return False
    was = dict(_leaves(before.model_dump(mode="json")))
    changed = {place for place in now.keys() | was.keys() if now.get(place) != was.get(place)}
    return all(_is_allowed(place, now.get(place)) for place in changed)


def _is_allowed(place: tuple[str, ...], value: object) -> bool:
    shown = MARK in str(value).lower()
    return shown is (place[-1] not in PLACES_WITH_IDS)  # a key made from a text may change with it, and not show it


def _writable(form: Payload, tree: dict[str, Any], original: bytes) -> bool:
    """Tell whether the format takes the tree as it is now."""
    try:
        return decoded(form, _encoded(form, tree, original)) == tree
    except ValueError:
        return False


def decoded(form: Payload, data: bytes) -> dict[str, Any]:
    """Read the one record in a file."""
    if isinstance(form, CsvPayload):
        [(_, tree)] = form.decode_set(data)
        return tree
    return form.decode(data)


def _encoded(form: Payload, tree: dict[str, Any], original: bytes) -> bytes:
    if isinstance(form, CsvPayload):
        [(key, _)] = form.decode_set(original)
        return form.encode_set([(key, tree)], original)
    return form.encode(tree, original)


def _leaves(value: object, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*place, str(number)))
    else:
        yield place, value


def texts(tree: object) -> Iterator[str]:
    """Yield every text of a record."""
    for _, value in _leaves(tree):
        if isinstance(value, str):
            yield value


def replace(value: Any, old: str, new: object) -> None:
    """Put a text in the place of another, wherever it stands."""
    for name, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if inner == old:
            value[name] = new
        elif isinstance(inner, dict | list):
            replace(inner, old, new)
