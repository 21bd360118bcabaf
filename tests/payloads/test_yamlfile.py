"""YAML with places: values stay as they were written, and whatever is wrong says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar, read_yaml

_WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


def _map(text: str) -> YamlMap:
    node = read_yaml(text, "a.yaml")
    assert isinstance(node, YamlMap)
    return node


def _scalar(node: YamlNode) -> YamlScalar:
    assert isinstance(node, YamlScalar)
    return node


@pytest.mark.parametrize("written", ["NO", "0155", "1.20", "2026-11-20", "1:30", "on", "0x1F", "1_000", "yes"])
def test_values_stay_as_written(written: str) -> None:
    """Text that other readers turn into a truth, number or date stays the text that stands in the file."""
    assert _scalar(_map(f"key: {written}").items["key"]).text == written


@pytest.mark.parametrize(
    ("written", "null"),
    [("", True), ("~", True), ("null", True), ('"null"', False), ("''", False), ("Null", False), ("nil", False)],
)
def test_nothing_is_told_from_a_quoted_word(written: str, *, null: bool) -> None:
    """Only an empty place, `~` and a bare `null` are nothing; in quotes they are text."""
    assert _scalar(_map(f"key: {written}").items["key"]).is_null is null


def test_places_count_from_one() -> None:
    """Keys, values and items carry the line and column that an editor shows."""
    top = _map("# first\nouter:\n  inner: [a, b]\n")
    outer = top.items["outer"]
    assert isinstance(outer, YamlMap)
    inner = outer.items["inner"]
    assert isinstance(inner, YamlList)
    assert (top.keys["outer"], outer.keys["inner"]) == (Mark("a.yaml", 2, 1), Mark("a.yaml", 3, 3))
    assert [item.mark for item in inner.items] == [Mark("a.yaml", 3, 11), Mark("a.yaml", 3, 14)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: the key 'a' stands twice. Keep one; the first is on line 1"),
        ("", "a.yaml:1:1: the file is empty. Write at least one key"),
        ("# only a comment\n", "a.yaml:1:1: the file is empty. Write at least one key"),
        ("[a, b]: c\n", "a.yaml:1:1: a key that is not a word. Use a plain word as key"),
        ("a: &x [*x]\n", "a.yaml:1:4: an anchor that contains itself. Write the values out"),
    ],
)
def test_mistakes_say_where_and_what_to_do(text: str, message: str) -> None:
    """Each mistake is one line with file, line, column, problem and remedy."""
    with pytest.raises(FileError) as raised:
        read_yaml(text, "a.yaml")
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["a: [1, 2\nb: 3\n", "a: b: c\n", "\tkey: 1\n", "a: 'open\n", "a: 1\n--- \nb: 2\n"])
def test_what_is_no_yaml_is_a_mistake_in_the_file(text: str) -> None:
    """Broken YAML, and a second document, are mistakes at a place and never another kind of error."""
    with pytest.raises(FileError, match=r"^a\.yaml:\d+:\d+: not readable as YAML"):
        read_yaml(text, "a.yaml")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    """No text, however odd, makes another error than a mistake at a place."""
    try:
        node = read_yaml(text, "a.yaml")
    except FileError as error:
        assert error.mark.line >= 1  # noqa: PT017 - either way out is right, each with its own claim
    else:
        assert node.mark.line >= 1


@given(st.dictionaries(_WORDS, _WORDS, min_size=1))
def test_keys_keep_their_order(pairs: dict[str, str]) -> None:
    """Keys come back in the order written, each with its value."""
    top = _map("".join(f"{key}: {value}\n" for key, value in pairs.items()))
    assert [(key, _scalar(value).text) for key, value in top.items.items()] == list(pairs.items())
