"""`hub mapping` as people use it: real files in, tables and lines out, and never a value of a person unasked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import select
from typer.testing import CliRunner, Result

from hub.bootstrap import open_hub, read_settings, system_clock
from hub.cli import app
from hub.mappings import load_shipped, shipped
from hub.mappings.language import Tree, load_mapping
from hub.operate.mappings.checks import outcomes
from hub.operate.mappings.draft import draft
from hub.operate.mappings.files import frozen_form, mistakes, opened, rules_of, thawed
from hub.operate.mappings.records import guessed_record, kind_of, leaves, masked, record_of, shape
from hub.operate.mappings.versions import NotReady, activate, active_mappings, freeze
from hub.operate.mappings.views import coverage, differing_rules, preview
from hub.payloads.zips import pack
from hub.store.database import open_database
from hub.store.sealing import new_key_file
from hub.store.tables import events

ROOT = Path(__file__).parent.parent.parent
TEMPLATES = ROOT / "hub" / "mappings" / "templates"
SAMPLES = TEMPLATES / "samples"
VIGILO = "vigilo/stafettlogg"
TENANT = "900001002"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
SMALL = """\
mapping: liten/logg
version: 1
canonical: relaylog/1
origin: assumed
payload: json
when: {/kind: T}
fields:
  source.id: /id
  subject.name: /barn/navn
  opened_on: {at: /dato, date: "%d.%m.%Y"}
  measures[]:
    each: /tiltak
    key: /id
    fields:
      text: /tekst
"""
RECORD: Tree = {
    "kind": "T", "id": "7", "barn": {"navn": "Solskinn Testbarn"}, "dato": "17.08.2026", "farge": "blå",
    "tiltak": [{"id": "1", "tekst": "Lek i liten gruppe", "merke": "x"}],
}  # fmt: skip


def hub(*arguments: str | Path) -> Result:
    """Run a command in this process, on a wide screen."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["mapping", *map(str, arguments)])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small mapping with its record beside it."""
    (tmp_path / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def with_case(small: Path) -> Path:
    """Put a case beside the small mapping, of what it reads today."""
    mapping = opened(small)
    (small.parent / "expect.json").write_text(mapping.read(RECORD).model_dump_json(), encoding="utf-8")
    small.write_text(SMALL + "tests: [{record: record.json, expect: expect.json}]\n", encoding="utf-8")
    return small


def override(folder: Path) -> Path:
    """Put a file that changes a shipped mapping, and a case of its own, in a folder."""
    path = folder / "own.yaml"
    text = f"extends: {VIGILO}\nversion: 7\nfields:\n  step: {{status: remove}}\n"
    path.write_text(text, encoding="utf-8")
    shutil.copy(SAMPLES / "vigilo-aktiv.json", folder / "record.json")
    (folder / "expect.json").write_text(hub("expect", path, folder / "record.json").output, encoding="utf-8")
    path.write_text(text + "tests: [{record: record.json, expect: expect.json}]\n", encoding="utf-8")
    return path


def test_lint_shows_every_mistake_with_its_place(small: Path) -> None:
    """Three mistakes in three rules, one of them inside a list, are all shown with line and column; exit 1."""
    text = SMALL.replace("subject.name:", "subject.nam:").replace('"%d.%m.%Y"', '"%d.%q"').replace("/tekst", "tekst")
    small.write_text(text, encoding="utf-8")
    done = hub("lint", small)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["small.yaml:9:3", "small.yaml:10:32", "small.yaml:15:13"]
    assert "subject.name" in lines[0]


def test_lint_tells_no_mistake_that_follows_from_another(small: Path) -> None:
    """A rule that is wrong is still a rule: that it is required, or feeds a reference, is no second mistake."""
    text = SMALL.replace("fields:\n  source", "required: [source.id]\nfields:\n  source", 1).replace(
        "/id\n  sub", "id\n  sub"
    )
    small.write_text(text, encoding="utf-8")
    assert [error.mark.line for error in mistakes(small)] == [9]


def test_lint_of_the_shipped_mappings_finds_nothing() -> None:
    """Without files the shipped mappings are looked at, and they are right."""
    done = hub("lint")
    assert (done.exit_code, done.output) == (0, "No mistakes\n")


def test_test_runs_cases_and_laws(small: Path) -> None:
    """A case that holds is five lines of ok; a changed expectation is named by its place, and exit is 1."""
    done = hub("test", with_case(small))
    assert done.exit_code == 0
    assert done.output.count(" ok ") == 5
    expect = small.parent / "expect.json"
    expect.write_text(expect.read_text(encoding="utf-8").replace("Solskinn", "Regnbue"), encoding="utf-8")
    done = hub("test", small)
    assert done.exit_code == 1
    assert "/subject/name" in done.output
    assert "Testbarn" not in done.output


def test_a_case_that_cannot_be_read_is_told_without_values(small: Path) -> None:
    """A record that does not fit, and an expectation that is no relay log, are lines with their place."""
    mapping = opened(with_case(small))
    (small.parent / "expect.json").write_text('{"subject": {"name": 4711}}', encoding="utf-8")
    (found,) = [one for one in outcomes(mapping, small.parent) if one.broken]
    assert found.broken == ("expect.json: not a relay log at /subject/name. See `hub schema`",)
    (small.parent / "record.json").write_text(json.dumps(RECORD | {"dato": "Solskinn"}), encoding="utf-8")
    (found,) = outcomes(mapping, small.parent)
    assert "/dato" in found.broken[0]
    assert "Solskinn" not in found.broken[0]


def test_preview_masks_values_unless_asked(small: Path) -> None:
    """Places and kinds are shown, what no rule reads is marked, and values only with --reveal."""
    record = small.parent / "record.json"
    done = hub("preview", small, record)
    assert done.exit_code == 0, done.output
    assert "Testbarn" not in done.output
    assert "2 of 8 places unmapped, 0 changed by writing back" in done.output
    assert "Testbarn" in hub("preview", small, record, "--reveal").output


def test_preview_tells_what_each_place_becomes() -> None:
    """The three sides stand with their places, and rows of lists by number."""
    found = preview(load_mapping(SMALL, "small.yaml"), RECORD, reveal=True)
    assert [line.place for line in found.record if line.mark] == ["/farge", "/tiltak/0/merke"]
    assert ("/measures/0/text", "Lek i liten gruppe") in [(line.place, line.value) for line in found.log]
    assert [line.mark for line in found.back] == [""] * 8


def test_coverage_counts_filled_fields_and_names_the_unread(small: Path) -> None:
    """A field is counted once a record, whatever the number of rows; empty is not filled."""
    other = RECORD | {"farge": "", "tiltak": []}
    found = {one.place: (one.records, one.of, one.read) for one in coverage(opened(small), [RECORD, other])}
    assert found["/farge"] == (1, 2, False)
    assert found["/tiltak/tekst"] == (1, 2, True)
    assert found["/barn/navn"] == (2, 2, True)
    assert "1 of 1" in hub("coverage", small, small.parent / "record.json").output


def counted(name: str, *samples: str) -> dict[str, tuple[int, int, bool]]:
    """Return what coverage says of samples beside a shipped mapping, by source field."""
    mapping = load_shipped(name)
    found = coverage(mapping, [record_of(SAMPLES / sample, mapping) for sample in samples])
    return {one.place: (one.records, one.of, one.read) for one in found}


def test_coverage_of_json_knows_lists_that_are_empty_now_and_then(small: Path) -> None:
    """An empty list whose rows are read is read; where other records fill it, its fields stand for it."""
    empty = RECORD | {"tiltak": [], "barn": {}}
    found = {one.place: (one.records, one.of, one.read) for one in coverage(opened(small), [empty])}
    assert (found["/tiltak"], found["/barn"]) == ((0, 1, True), (0, 1, True))
    found = {one.place: (one.records, one.of, one.read) for one in coverage(opened(small), [empty, RECORD])}
    assert "/tiltak" not in found
    assert (found["/tiltak/tekst"], found["/tiltak/merke"]) == ((1, 2, True), (1, 2, False))


def test_coverage_tells_a_name_of_digits_from_the_number_of_a_row(tmp_path: Path) -> None:
    """A field called 2026 is one of its own, its name hidden as a key may be a person's; a numbered row is read."""
    path = tmp_path / "digits.yaml"
    path.write_text(
        SMALL.replace("/barn/navn", "{at: /barn/2026, one_way: read}").replace(
            "  opened_on", "  unit.name: {at: /enheter/0/navn, one_way: read}\n  opened_on"
        ),
        encoding="utf-8",
    )
    record = RECORD | {"barn": {"2026": "x", "2027": "y"}, "enheter": [{"navn": "a", "nr": "1"}]}
    found = [(one.place, one.read) for one in coverage(opened(path), [record])]
    assert [one for one in found if one[0].startswith("/barn")] == [("/barn/*", True), ("/barn/*", False)]
    assert [one for one in found if one[0].startswith("/enheter")] == [("/enheter/navn", True), ("/enheter/nr", False)]


def test_coverage_of_xml_counts_elements_attributes_and_texts() -> None:
    """Each is a field by itself; an attribute of a row counts once a record."""
    found = counted("profil/stafettlogg", "profil-aktiv.xml", "profil-avsluttet.xml", "profil-gravid.xml")
    assert found["/Journaldokument/@dokumentnr"] == (3, 3, True)
    assert found["/Journaldokument/Avslutning/@dato"] == (1, 3, True)
    assert found["/Journaldokument/Plan/Mal/Tiltak/Evaluering/#text"][2]
    assert not [place for place in found if place.count("/0")]


def test_coverage_of_a_word_form_counts_labels_columns_and_headings() -> None:
    """Labels that nobody has filled in are shown with none; what no rule reads is told."""
    found = counted("compilo/stafettlogg", "compilo-aktiv.docx", "compilo-avslutta.docx", "compilo-sparsam.docx")
    assert found["/pairs/barnet: namn"] == (3, 3, True)
    assert found["/tables/tiltak/nr."] == (2, 3, True)
    assert found["/tables/vurdering/effekt"] == (1, 3, True)
    assert found["/sections/uro"] == (2, 3, True)
    assert found["/controls/sperre"] == (1, 3, True)
    assert found["/form"] == (3, 3, True)
    unread = {place: filled for place, (filled, _, read) in found.items() if not read}
    assert set(unread.values()) == {0}
    assert all(place.startswith("/sections/") for place in unread)  # headings over tables, with no text of their own


def test_diff_names_rules_by_canonical_path(small: Path, tmp_path: Path) -> None:
    """A rule added, one removed and one changed are told, and nothing else."""
    other = tmp_path / "other.yaml"
    text = SMALL.replace("/barn/navn", "/barn/namn").replace("  source.id: /id\n", "").replace(
        "      text: /tekst\n", "      text: /tekst\n      deadline: /frist\n"
    )  # fmt: skip
    other.write_text(text, encoding="utf-8")
    done = hub("diff", small, other)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines() if "│" in line]
    assert rows == [
        ["source.id", "removed", "/id", ""],
        ["subject.name", "changed", "/barn/navn", "/barn/namn"],
        ["measures[].deadline", "added", "", "/frist"],
    ]
    assert hub("diff", small, small).output == "No difference\n"


def test_a_mapping_does_not_differ_from_itself() -> None:
    """The rules of every shipped mapping can be laid side by side, and equal ones are no difference."""
    for path in shipped().values():
        assert differing_rules(rules_of(path), rules_of(path)) == ()


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir() if ".relaylog." not in path.name))
def test_a_draft_lints_clean_and_reads_its_sample(sample: str, tmp_path: Path) -> None:
    """Of every format: guesses are marked, what was not known is listed, the sample reads, and no value is in it."""
    record, options = guessed_record(SAMPLES / sample)
    text = draft("nytt", kind_of(SAMPLES / sample), options, record)
    path = tmp_path / "draft.yaml"
    path.write_text(text, encoding="utf-8")
    assert mistakes(path) == ()
    mapping = opened(path)
    again = record_of(SAMPLES / sample, mapping)
    assert mapping.claims(again)
    mapping.read(again)
    rules = text.partition("fields:\n")[2].partition("\n# Ikke")[0]
    assert all(line.endswith("# gjettet") or line.strip() == "fields:" for line in rules.splitlines() if line)
    texts = {value for _, value in leaves(record) if isinstance(value, str) and " " in value}
    assert not [value for value in texts if value in text]


def test_a_draft_knows_common_names(tmp_path: Path) -> None:
    """Bokmål, nynorsk, English and vendors' words lead to the same paths; halves of a name are joined."""
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps({
        "logId": "1", "child": {"firstName": "Solskinn", "lastName": "Testbarn", "fødd": "01.02.2020"},
        "stafetthaldar": {"namn": "Fjell Testtilsett", "tlf": "00000000"}, "status": "AKTIV",
        "aktivitetar": [], "tiltak": [{"tiltakId": "4", "frist": "2026-09-01", "skildring": "Lek"}],
    }), encoding="utf-8")  # fmt: skip
    text = hub("new", "nytt", "--from", sample).output
    for rule in (
        'subject.name: {at: [/child/firstName, /child/lastName], join: " "}',
        'subject.birth_date: {at: /child/fødd, date: "%d.%m.%Y"}',
        "holder.phone: /stafetthaldar/tlf", "source.id: /logId", "key: /tiltakId", "text: /skildring",
        'deadline: {at: /frist, date: "%Y-%m-%d"}', "#   /aktivitetar",
    ):  # fmt: skip
        assert rule in text


def test_a_draft_of_a_csv_set_finds_how_its_files_hang_together(tmp_path: Path) -> None:
    """A set in a zip and the same in a folder give the same draft: keys, parents, lists."""
    files = {
        "logg.csv": "LoggID;Barnets navn;Status\n1;Solskinn Testbarn;AKTIV\n",
        "tiltak.csv": "TiltakID;LoggID;Skildring\n9;1;Lek\n",
    }
    (tmp_path / "set.zip").write_bytes(pack({name: text.encode() for name, text in files.items()}))
    (tmp_path / "set").mkdir()
    for name, text in files.items():
        (tmp_path / "set" / name).write_text(text, encoding="utf-8")
    packed, loose = (hub("new", "nytt", "--from", tmp_path / name).output for name in ("set.zip", "set"))
    assert packed == loose
    assert '"tiltak": {"key": "TiltakID", "parent": "logg/LoggID"}' in packed
    assert "each: /logg/tiltak" in packed


def test_shape_keeps_structure_and_no_value() -> None:
    """Keys and rows stay, every value is a kind and a length class, and keys that could be a person's are hidden."""
    made = shape(RECORD | {"12345678901": {"ok": True, "n": 3, "none": None}})
    assert made == {
        "kind": "word, up to 5", "id": "digits, up to 5", "barn": {"navn": "text, up to 20"},
        "dato": "date dd.mm.yyyy", "farge": "word, up to 5",
        "tiltak": [{"id": "digits, up to 5", "tekst": "text, up to 20", "merke": "word, up to 5"}],
        "*": {"ok": "yes/no", "n": "number, up to 5", "none": "empty"},
    }  # fmt: skip


@pytest.mark.parametrize("sample", ["vigilo-aktiv.json", "profil-aktiv.xml", "compilo-aktiv.docx"])
def test_shape_of_a_file_holds_none_of_its_values(sample: str) -> None:
    """The printed JSON has the record's places and none of its texts."""
    record, _ = guessed_record(SAMPLES / sample)
    printed = json.loads(hub("shape", SAMPLES / sample).output)
    assert len(list(leaves(printed))) == len(list(leaves(record)))
    texts = {value for _, value in leaves(record) if isinstance(value, str)}
    assert not texts & {value for _, value in leaves(printed)}


@given(st.text(min_size=1, max_size=1200))
def test_a_masked_text_is_one_of_few_words(text: str) -> None:
    """Whatever the text, what is shown is a kind and one of seven lengths."""
    kind, _, length = masked(text).partition(", ")
    assert kind in {"word", "text", "digits", "empty"} or kind.startswith(("date ", "time "))
    assert length in {"", *(f"up to {most}" for most in (5, 10, 20, 50, 200, 1000)), "over 1000"}


@pytest.mark.parametrize("name", shipped())
def test_what_is_frozen_reads_without_any_other_file(name: str) -> None:
    """A frozen form holds bases and code lists, and reads a sample exactly as the file does."""
    mapping, path = load_shipped(name), shipped()[name]
    again = thawed(frozen_form(path, mapping))
    record = record_of(path.parent / mapping.samples[0].record, mapping)
    assert again.read(record) == mapping.read(record)


def test_an_override_is_frozen_with_its_base(tmp_path: Path) -> None:
    """A file that only changes a shipped mapping takes the base along, word by word."""
    path = tmp_path / "own.yaml"
    path.write_text(f"extends: {VIGILO}\nversion: 2\nfields:\n  step: {{status: remove}}\n", encoding="utf-8")
    form = frozen_form(path, opened(path))
    assert [file.role for file in form.files][:2] == ["base", "mapping"]
    assert (thawed(form).id, thawed(form).version) == (VIGILO, 2)
    assert "step" not in thawed(form).carries


def test_only_what_lints_and_holds_its_tests_is_frozen(small: Path, tmp_path: Path) -> None:
    """A mistake and a failing case are refused with where to look; then nothing is kept and no event written."""
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    with_case(small)
    (tmp_path / "record.json").write_text(json.dumps(RECORD | {"dato": "18.08.2026"}), encoding="utf-8")
    with pytest.raises(NotReady, match="expect: /opened_on"):
        freeze(db, TENANT, small, "it-1", NOW)
    small.write_text(SMALL.replace("subject.name", "subject.nam"), encoding="utf-8")
    with pytest.raises(NotReady, match=r"small.yaml:9:3"):
        freeze(db, TENANT, small, "it-1", NOW)
    with db.read() as tx:
        assert tx.scalar(select(events.c.event_id)) is None
    db.close()


def test_a_mapping_without_a_case_is_not_frozen(tmp_path: Path) -> None:
    """The cases of a mapping that is extended prove nothing of the change; the remedy says how to make one."""
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    path = override(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").partition("tests:")[0], encoding="utf-8")
    with pytest.raises(NotReady, match=r"own.yaml: no case beside it.* `hub mapping expect` .*'tests: \[\{record"):
        freeze(db, TENANT, path, "it-1", NOW)
    form, is_new = freeze(db, TENANT, override(tmp_path), "it-1", NOW)
    assert (form.version, is_new) == (7, True)
    db.close()


def test_an_id_that_lints_can_be_frozen(small: Path, tmp_path: Path) -> None:
    """What lint takes, the event log takes: the shipped ids, and one with digits and hyphens as long as it may be."""
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    name = f"liten-2/{'a' * 112}"
    text = with_case(small).read_text(encoding="utf-8")
    small.write_text(text.replace("liten/logg", name), encoding="utf-8")
    expect = small.parent / "expect.json"
    expect.write_text(opened(small).read(RECORD).model_dump_json(), encoding="utf-8")
    assert freeze(db, TENANT, small, "it-1", NOW)[0].id == name
    small.write_text(text.replace("liten/logg", f"{name}a"), encoding="utf-8")
    assert [(one.mark.line, one.mark.column) for one in mistakes(small)] == [(1, 10)]
    db.close()


def test_a_frozen_version_stands_when_the_file_changes(small: Path, tmp_path: Path) -> None:
    """After the file is changed, what is active still reads as it was frozen."""
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    freeze(db, TENANT, with_case(small), "it-1", NOW)
    activate(db, TENANT, "liten/logg", 1, "it-1", NOW)
    small.write_text(SMALL.replace("/barn/navn", "/barn/namn"), encoding="utf-8")
    assert active_mappings(db, TENANT)["liten/logg"].read(RECORD).subject.name == "Solskinn Testbarn"
    db.close()


def test_the_active_version_runs_in_place_of_the_shipped(tmp_path: Path) -> None:
    """Frozen and activated by command, a municipality's own version is what its connection reads with."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    own = override(tmp_path)
    environ = _environment(config, tmp_path)
    for arguments in (("freeze", str(own)), ("activate", VIGILO, "7")):
        command = [sys.executable, "-m", "hub", "mapping", *arguments, "--config", str(config), "--who", "it-1"]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    settings = read_settings(config, environ)
    with open_hub(settings, system_clock()) as opened_hub:
        connection = opened_hub.connection(f"{TENANT}/vigilo")[1]
        assert (connection.mapping.version, "step" in connection.mapping.carries) == (7, False)
        assert opened_hub.connection(f"{TENANT}/samspill")[1].mapping.version == 1
        with opened_hub.db.read() as tx:
            rows = tx.execute(select(events.c.actor, events.c.data).order_by(events.c.event_id)).all()
    assert [(row.actor, row.data["change"]) for row in rows] == [("it-1", "frozen"), ("it-1", "activated")]
    listed = CliRunner(env={**environ, "COLUMNS": "200"}).invoke(app, ["mapping", "versions", "--config", str(config)])
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed.output.splitlines() if "│" in line]
    (row,) = cells
    assert (row[:2], row[3], row[4], row[6]) == ([VIGILO, "7"], "it-1", "yes", "it-1")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", row[place]) for place in (2, 5))


def _environment(config: Path, folder: Path) -> dict[str, str]:
    """Return an environment with every variable that the example configuration names, and a key made for it."""
    text = "".join(path.read_text(encoding="utf-8") for path in config.rglob("*.yaml"))
    names = set(re.findall(r"\$\{env:(\w+)", text))
    key = folder / "key.json"
    new_key_file(key)
    values = {name: "http://127.0.0.1:9/api" if name.endswith("URL") else "secret" for name in names}
    values |= {name: str(key) for name in names if "KEY" in name}
    return {**os.environ, **values, "STAFETTHUB_DATA": str(folder / "data")}


def test_the_schema_of_mappings_is_printed() -> None:
    """`hub schema --mapping` prints the JSON Schema that the shipped mappings follow."""
    done = CliRunner().invoke(app, ["schema", "--mapping"])
    found = json.loads(done.output)
    Draft202012Validator.check_schema(found)
    assert "when" in found["properties"]
