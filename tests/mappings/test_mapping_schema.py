"""The JSON Schema for editors: every mapping that loads fits it, and it knows the slips that an editor can show."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hub.mappings import shipped
from hub.mappings.language.header import HEADER_KEYS
from hub.mappings.language.nodes import plain
from hub.mappings.language.schema import mapping_schema
from hub.payloads.yamlfile import read_yaml
from tests.mappings import test_mapping_overrides, test_mapping_places
from tests.mappings.small import HEAD

HERE = Path(__file__).parent
SCHEMA = mapping_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def errors(text: str) -> list[str]:
    """Return where a mapping file doesn't fit the schema."""
    return [error.json_path for error in VALIDATOR.iter_errors(plain(read_yaml(text, "test.yaml")))]


def test_it_is_a_schema_and_every_header_key_is_described() -> None:
    """The schema is valid itself, and says of each key in plain words what it is for."""
    Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == set(HEADER_KEYS)
    assert all(len(form["description"]) > 20 for form in properties.values())


@pytest.mark.parametrize("path", [*shipped().values(), HERE / "odd.yaml"], ids=lambda path: path.name)
def test_every_shipped_mapping_fits(path: Path) -> None:
    """What the compiler takes, the editor doesn't mark."""
    assert errors(path.read_text(encoding="utf-8")) == []


FITTING = (
    "extends: a/b\nversion: 1\nfields: {step: {status: remove}, 'notes[]': [{each: /l, status: remove}, {was: /a}]}",
    "extends: a/b\nversion: 1\ncodes: {x: {codes: {A: {status: remove}}}}\nvolatile: {status: remove}",
    test_mapping_overrides.BASE,
    HEAD + "fields:\n" + test_mapping_places.DEEP,
    HEAD + "fields:\n" + test_mapping_places.SLOTS,
    HEAD + "fields:\n" + test_mapping_places.WITHIN,
    HEAD + "fields: {'consents[]': {each: /c, fields: {signed_by: [{set: {role: youth}, fields: {name: /n}}]}}}",
)


@pytest.mark.parametrize("text", FITTING)
def test_overrides_and_all_kinds_of_lists_fit(text: str) -> None:
    """An override needs only what differs; removals, slots, orphans and keys are known."""
    assert errors(text) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("  step: /steg", "  stepp: /steg"), "$.fields"),
        (("  step: /steg", "  step: steg"), "$.fields.step"),
        (("  step: /steg", "  step: {at: /steg, date: iso}"), "$.fields.step"),
        (("origin: assumed", "origin: guessed"), "$.origin"),
        (("version: 4", "version: 0"), "$.version"),
        (("{/kind: T}", "{kind: T}"), "$.when"),
        (("set: {kind: bright_spot}", "sett: {kind: bright_spot}"), "$.fields['notes[]']"),
        (("payload: json", "payload: jsn"), "$.payload"),
        (("canonical: relaylog/1\n", ""), "$"),
    ],
)
def test_an_editor_sees_the_slip(change: tuple[str, str], place: str) -> None:
    """An unknown path, key or word, and a place that is no pointer, are marked where they stand."""
    found = errors(test_mapping_overrides.BASE.replace(*change))
    assert [one for one in found if one.startswith(place)] == found != []
