"""No error of a payload or a mapping quotes what it was given, whatever stands wherever in whichever template."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, MappingError
from hub.payloads.base import PayloadError, Tree
from hub.payloads.registry import payload
from tests.leaks.canaries import MARK, decoded, replace, texts

EVERY = [load_shipped(name) for name in shipped()]
WORD = MARK.capitalize()
ODD: tuple[object, ...] = (f"{WORD} Testbarn", [WORD], {WORD: WORD}, [{WORD: [WORD]}], f"99.99.{WORD}")
CUTS = 9

every_template = pytest.mark.parametrize("mapping", EVERY, ids=[mapping.id for mapping in EVERY])


def _fullest(mapping: Mapping) -> bytes:
    return (shipped()[mapping.id].parent / mapping.samples[0].record).read_bytes()


def _spoilt(tree: Tree) -> Iterator[Tree]:
    """Yield a record with something odd in the place of each of its texts."""
    for value in sorted(set(texts(tree))):
        for odd in ODD:
            spoilt = copy.deepcopy(tree)
            replace(spoilt, value, odd)
            yield spoilt


@every_template
def test_a_mapping_tells_the_place_and_not_the_value(mapping: Mapping) -> None:
    """With a name, a list or an object in any place, a mapping reads the record or names the place alone."""
    told = []
    for tree in _spoilt(decoded(payload(mapping.payload, mapping.payload_options), _fullest(mapping))):
        try:
            mapping.read(tree)
        except MappingError as error:
            told.append(f"{error} {error.path} {error.pointer} {error.args}")
    assert told
    assert [line for line in told if MARK in line.lower()] == []


def _broken(data: bytes) -> Iterator[bytes]:
    """Yield a file that is cut off, that has a name in a wrong place, or whose texts are all one name."""
    for number in range(1, CUTS):
        at = len(data) * number // CUTS
        yield data[:at] + WORD.encode()
        yield data[:at] + WORD.encode() + data[at:]
        yield data[:at] + f'"><{WORD} {WORD}="{WORD}">&{WORD};'.encode() + data[at:]
        yield data[:at] + f'", "{WORD}": {WORD}, "'.encode() + data[at:]


@every_template
def test_a_payload_tells_the_place_and_not_the_value(mapping: Mapping) -> None:
    """A file that is cut off, or has a name where none may stand, is read or refused by its place alone."""
    told, form = [], payload(mapping.payload, mapping.payload_options)
    for data in _broken(_fullest(mapping)):
        try:
            decoded(form, data)
        except PayloadError as error:
            told.append(f"{error} {error.code} {error.place} {error.what} {error.remedy} {error.args}")
    assert told
    assert [line for line in told if MARK in line.lower()] == []
