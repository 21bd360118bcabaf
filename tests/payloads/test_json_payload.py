"""JSON records: strict reading, and writing in the style of the last record exchanged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.payloads.base import PayloadError, Tree, merged, pairing, same
from hub.payloads.json import JsonPayload
from tests.payloads.texts import TEXTS

JSON = JsonPayload({})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TREES = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(TREES)
def test_what_is_written_is_read_back(tree: Tree) -> None:
    """Any record written anew reads back as it was."""
    assert same(JSON.decode(JSON.encode(tree, None)), tree)


@given(TREES, TREES, st.sampled_from([None, 2, 4, "\t"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_writing_on_a_record_keeps_what_is_not_said(
    before: Tree, said: Tree, indent: int | str | None, ascii_only: bool, line: str
) -> None:
    """Whatever the style, what is written reads back as the change laid over the record; no change changes no byte."""
    original = json.dumps(before, indent=indent, ensure_ascii=ascii_only).replace("\n", line).encode()
    assert JSON.encode(before, original) == original
    written = JSON.encode(said, original)
    assert same(JSON.decode(written), merged(before, said))
    assert JSON.encode(said, written) == written


def test_the_style_stays() -> None:
    """Byte order mark, indentation, key order, line ends and the last line end stay when a value changes."""
    original = '\ufeff{\r\n    "b": 1,\r\n    "a": {"x": "æ"}\r\n}\r\n'.encode()
    written = JSON.encode({"a": {"x": "ø"}, "c": None}, original)
    assert written == (
        '\ufeff{\r\n    "b": 1,\r\n    "a": {\r\n        "x": "ø"\r\n    },\r\n    "c": null\r\n}\r\n'.encode()
    )


def test_compact_and_escaped_styles_stay() -> None:
    """A record without spaces gets none, and one with escapes keeps them."""
    assert JSON.encode({"a": 2}, b'{"a":1,"b":"\\u00e6"}') == b'{"a":2,"b":"\\u00e6"}'
    assert JSON.encode({"a": 2}, b'{"a": 1, "b": 3}') == b'{"a": 2, "b": 3}'


def test_large_whole_numbers_keep_their_digits() -> None:
    """A number beyond what a float holds is kept, and its neighbours too."""
    assert JSON.decode(b'{"a": 123456789012345678901234567890}') == {"a": 123456789012345678901234567890}


def test_true_is_not_one() -> None:
    """A change between 1, 1.0 and true is a change."""
    assert JSON.encode({"a": True}, b'{"a": 1}') == b'{"a": true}'
    assert JSON.encode({"a": 1.0}, b'{"a": 1}') == b'{"a": 1.0}'


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"", "size", ""),
        (b"  \n", "size", ""),
        (b"[1]", "shape", ""),
        (b'{"a": ', "syntax", "line 1 column 7"),
        (b"<html>", "syntax", "line 1 column 1"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate", "/a"),
        (b'{"a": NaN}', "number", ""),
        (b'{"a": -Infinity}', "number", ""),
        (b'{"a": 1e999}', "number", "/a"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number", ""),
        (b'{"a": "\\ud800"}', "character", "/a"),
        ('{"a": "æ"}'.encode("latin-1"), "encoding", "byte 7"),
        ('{"a": "æ"}'.encode("utf-16"), "encoding", "byte 0"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "depth", "/a" * 65),
        (b"[" * 100_000, "depth", ""),
    ],
)
def test_what_is_refused(data: bytes, code: str, place: str) -> None:
    """What two readers could read differently, or nobody should read, is refused by its kind and place."""
    with pytest.raises(PayloadError) as caught:
        JSON.decode(data)
    assert (caught.value.code, caught.value.place) == (code, place)


def test_limits_are_settings() -> None:
    """Size and count are refused before and while reading; limits may be given as text."""
    small = JsonPayload({"limits": {"size": "20", "count": 3}})
    for data, code in ((b'{"a": "' + b"x" * 20 + b'"}', "size"), (b'{"a":[1,2,3]}', "count")):
        with pytest.raises(PayloadError) as caught:
            small.decode(data)
        assert caught.value.code == code


def test_errors_never_show_what_could_be_a_person() -> None:
    """A key that isn't a plain word is shown as a star."""
    with pytest.raises(PayloadError) as caught:
        JSON.decode(b'{"13527248013": {"b": 1, "b": 2}}')
    assert caught.value.place == "/*"


@given(st.lists(TREES, max_size=5), st.lists(TREES, max_size=5))
def test_rows_are_paired_once(old: list[Tree], new: list[Tree]) -> None:
    """Each earlier row is continued by at most one new row, and an unchanged list by itself."""
    found = [at for at in pairing(old, new) if at is not None]
    assert len(set(found)) == len(found)
    assert pairing(old, old) == list(range(len(old))) or len({str(row) for row in old}) < len(old)


def test_an_edited_row_is_not_taken_for_a_new_one() -> None:
    """The row most like an earlier one continues it, even when another went and one came."""
    old: list[Tree] = [{"id": "1", "t": "a", "d": "x"}, {"id": "2", "t": "b", "d": "y"}]
    new: list[Tree] = [{"id": "2", "t": "b", "d": "z"}, {"id": "3", "t": "c", "d": "å"}, {"t": "d"}]
    assert pairing(old, new) == [1, None, None]
