"""A municipality's own changes: a file that extends a template changes, adds and removes rules without copying it."""

from pathlib import Path

import pytest

from hub.mappings import mappings_of, shipped
from hub.mappings.language import FileText, Mapping, MappingError, Tree, load_mapping
from hub.payloads.yamlfile import FileError
from hub.relaylog.codes import NoteKind
from hub.relaylog.model import Note, RelayLog

BASE = """mapping: test/base
version: 4
canonical: relaylog/1
origin: assumed
payload: json
when: {/kind: T}
volatile: [/seen]
codes:
  trinn: {codes: {i gang: ongoing, ferdig: reached}, write_as: {changed: i gang}, keep: [ended]}
fields:
  source.id: {at: /id, one_way: read}
  step: /steg
  opened_on: {at: /start, date: "%d.%m.%Y"}
  goals[]:
    each: /mal
    key: /id
    fields:
      text: /tekst
      status: {at: /trinn, codes: trinn}
  notes[]:
    - {each: /lys, key: /id, set: {kind: bright_spot}, fields: {text: /t}}
    - {each: /notat, key: /id, fields: {text: /t, author: /av}}
tests: [{record: gone.json, expect: gone.json}]
"""
BASES = {"test/base": FileText(BASE, "base.yaml")}


def load(text: str, file: str = "own.yaml") -> Mapping:
    """Lay a file over the base."""
    return load_mapping("extends: test/base\nversion: 2\n" + text, file, bases=BASES)


def test_an_override_says_only_what_differs() -> None:
    """A place, a date format and a code are changed; all else is the base's, its tests are not inherited."""
    mapping = load(
        "origin: confirmed\n"
        "when: {/kind: {in: [T, T2]}}\n"
        "codes: {trinn: {codes: {ferdig: {status: remove}, nådd: reached}}}\n"
        "fields:\n"
        "  step: /nyttSteg\n"
        "  opened_on: {date: iso}\n"
        "  goals[]: {fields: {text: /skildring}}\n"
    )
    assert (mapping.id, mapping.version, mapping.origin, mapping.extends) == ("test/base", 2, "confirmed", "test/base")
    assert mapping.samples == ()
    record: Tree = {"kind": "T2", "id": "1", "nyttSteg": "3", "start": "2026-03-14",
                    "mal": [{"id": "g", "skildring": "x", "trinn": "nådd"}]}  # fmt: skip
    assert mapping.claims(record)
    log = mapping.read(record)
    assert (log.step, str(log.opened_on), log.goals[0].text, log.goals[0].status) == ("3", "2026-03-14", "x", "reached")
    assert mapping.write(record, log) == record
    assert mapping.stable({"seen": 1}) == {}
    assert [source.file for source in mapping.made_of] == ["base.yaml", "own.yaml"]


def test_rules_are_added_and_removed() -> None:
    """A new rule, a new list and a list of a second kind come in; what is removed is neither read nor written."""
    mapping = load(
        "volatile: {status: remove}\n"
        "fields:\n"
        "  step: {status: remove}\n"
        "  opened_by: /av\n"
        "  agreements[]: {each: /avtalar, fields: {text: /t}}\n"
        "  notes[]:\n"
        "    - {each: /kartlegging, key: /nr, set: {kind: survey}, fields: {text: /t}}\n"
        "    - {each: /lys, status: remove}\n"
        "    - {was: /notat, each: /notatar, fields: {author: {status: remove}}}\n"
    )
    record: Tree = {"steg": "1", "av": "x", "avtalar": [{"t": "a"}], "lys": [{"id": "1", "t": "l"}],
                    "kartlegging": [{"nr": "1", "t": "k"}], "notatar": [{"id": "2", "t": "n", "av": "y"}]}  # fmt: skip
    log = mapping.read(record)
    assert (log.step, log.opened_by, log.agreements[0].text) == ("", "x", "a")
    assert [(note.id, note.kind, note.author) for note in log.notes] == [
        ("1", NoteKind.SURVEY, ""), ("2", NoteKind.NOTE, ""),
    ]  # fmt: skip
    new = RelayLog(notes=(Note(text="ny", kind=NoteKind.SURVEY), Note(text="to")))
    assert mapping.write(None, new) == {"kartlegging": [{"t": "ny"}], "notatar": [{"t": "to"}]}
    assert mapping.stable({"seen": 1}) == {"seen": 1}


def test_an_expression_takes_the_place_of_a_pointer_and_back() -> None:
    """`jmes` over `at` leaves no `at` behind, nor the other way round."""
    assert load("fields: {step: {jmes: 'historie[-1]'}}").read({"historie": ["a", "b"]}).step == "b"
    again = {**BASES, "test/other": FileText("extends: test/base\nversion: 1\nfields: {step: {jmes: a}}", "mid.yaml")}
    mapping = load_mapping("extends: test/other\nversion: 1\nfields: {step: /s}", "own.yaml", bases=again)
    assert mapping.read({"a": "1", "s": "2"}).step == "2"
    assert [source.file for source in mapping.made_of] == ["base.yaml", "mid.yaml", "own.yaml"]


@pytest.mark.parametrize(
    ("text", "place", "problem", "remedy"),
    [
        ("fields: {stepp: {status: remove}}", "own.yaml:3:10", "the base has no 'stepp' to remove", "'step'"),
        ("fields: {step: {status: gone}}", "own.yaml:3:25", "a status says nothing here", "{status: remove}"),
        ("fields: {step: {dat: iso}}", "own.yaml:3:17", "'dat' is not known in a rule for text", "Did you mean 'at'"),
        ("fields: {opened_by: /steg}", "own.yaml:3:10", "'opened_by' and 'step' both write /steg", "one_way: read"),
        ("fields: {'notes[]': {fields: {text: /x}}}", "own.yaml:3:21", "several lists could be meant", "/lys, /notat"),
        ("fields: {'notes[]': {was: /nota, each: /x}}", "own.yaml:3:27", "the base has no list at '/nota'", "'/notat'"),
        ("fields: {'goals[]': {each: /anna, fields: {}}}", "own.yaml:3:21", "nothing tells this one apart", "'set:'"),
        ("codes: {trinn: {codes: {ferdig: ended}}}", "base.yaml:9:90", "both kept and written", "Keep one"),
        ("codes: {trinn: {codes: {ny: ended}}}", "base.yaml:9:90", "both kept and written", "Keep one"),
        ("fields: {'goals[]': {fields: {status: {codes: {a: ongoing}}}}}", "own.yaml:3:47", "how to write", "keep"),
        ("persons: {p: {name: /n}}", "own.yaml:3:11", "'p' is never read", "remove it"),
    ],
)  # fmt: skip
def test_a_slip_is_shown_in_the_file_where_it_stands(text: str, place: str, problem: str, remedy: str) -> None:
    """Errors name the override's own line, or the base's where the base says what no longer fits."""
    with pytest.raises(FileError) as caught:
        load(text)
    assert str(caught.value.mark) == place
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("extends: test/bas\nversion: 1", "own.yaml:1:10", "there is no mapping 'test/bas'"),
        ("extends: test/base", "own.yaml:1:1", "the mapping has no 'version'"),
        ("extends: test/loop\nversion: 1", "loop.yaml:1:10", "extends itself"),
    ],
)
def test_what_is_extended_must_be_there(text: str, place: str, problem: str) -> None:
    """A base that isn't there, or that extends itself, is found when loading."""
    bases = {**BASES, "test/loop": FileText("extends: test/loop\nversion: 1", "loop.yaml")}
    with pytest.raises(FileError) as caught:
        load_mapping(text, "own.yaml", bases=bases)
    assert str(caught.value.mark) == place
    assert problem in caught.value.problem


def test_an_error_in_a_record_names_the_line_of_the_rule_that_read_it() -> None:
    """A rule of the base is shown in the base's file, one of the override in its own."""
    mapping = load("fields:\n  opened_on: {date: iso}\n")
    records: list[Tree] = [{"start": "x"}, {"mal": 7}]
    for record, place in zip(records, (r"own\.yaml:4", r"base\.yaml:15"), strict=True):
        with pytest.raises(MappingError, match=place):
            mapping.read(record)


def test_a_municipalitys_folder_is_laid_over_the_shipped_templates(tmp_path: Path) -> None:
    """An override takes its template's place, a mapping of its own stands beside, the rest is as shipped."""
    assert sorted(mappings_of(None)) == sorted(shipped())
    own = "extends: vigilo/stafettlogg\nversion: 7\nfields: {step: /trinn}\n"
    (tmp_path / "vigilo.yaml").write_text(own, encoding="utf-8-sig")
    (tmp_path / "eiga.yaml").write_text(BASE.replace("tests:", "# "), encoding="utf-8")
    found = mappings_of(tmp_path)
    assert sorted(found) == sorted([*shipped(), "test/base"])
    assert found["vigilo/stafettlogg"].version == 7
    record: Tree = {"id": "1", "_person": {"firstName": "Solskinn"}, "trinn": "2"}
    assert found["vigilo/stafettlogg"].read(record).step == "2"
    (tmp_path / "to.yaml").write_text(own, encoding="utf-8")
    with pytest.raises(FileError, match=r"vigilo\.yaml:1:1: to\.yaml is the mapping"):
        mappings_of(tmp_path)
    (tmp_path / "to.yaml").write_bytes(b"mapping: \xe6")
    with pytest.raises(FileError, match="Save the file as UTF-8"):
        mappings_of(tmp_path)
