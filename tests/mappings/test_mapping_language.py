"""What the language does with a record, rule by rule, on small mappings."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from hub.mappings.language import MappingError, Tree
from hub.relaylog.codes import BtiLevel, LogStatus, NoteKind, Part, Service
from hub.relaylog.model import (
    Closure,
    Concern,
    Consent,
    Evaluation,
    Goal,
    Measure,
    Note,
    RelayLog,
    Signer,
    Source,
    Subject,
)
from tests.mappings.small import load, rows, written

NOTES = "  notes[]: {each: /n, key: /id, fields: {text: {at: /t, mark: true}, kind: {at: /k, %s}}}"
PLAIN_NOTES = "  notes[]: {each: /n, key: /id, fields: {text: /t, on: /d}}"


@pytest.mark.parametrize(("kind", "claimed"), [("T", True), (" T", False), (True, False), (None, False), ({}, False)])
def test_a_mapping_claims_what_its_conditions_say(kind: object, claimed: bool) -> None:
    """A record is claimed when every place says its word; odd records are not, and nothing fails."""
    assert load("  step: /s").claims({"kind": kind}) is claimed


def test_volatile_places_are_left_out_of_what_is_hashed() -> None:
    """`stable` drops the volatile places, deep ones too, and leaves the record as it is."""
    mapping = load("  step: /s", "volatile: [/seen, /a/b, /gone/c, /s/x]\n")
    record: Tree = {"seen": 1, "a": {"b": 2, "c": 3}, "s": "1"}
    assert mapping.stable(record) == {"a": {"c": 3}, "s": "1"}
    assert record == {"seen": 1, "a": {"b": 2, "c": 3}, "s": "1"}


def test_control_characters_are_removed_on_reading_and_kept_in_the_record() -> None:
    """Text loses what no document can hold; as it reads back equal, the record keeps it."""
    mapping = load("  opened_by: /s")
    record: Tree = {"s": "a\x00b\r\n\tc\ud800"}
    log = mapping.read(record)
    assert log.opened_by == "ab\n\tc"
    assert mapping.write(record, log) == record


@pytest.mark.parametrize("raw", ["1.2.2026", "01.02.2026", " 1.02.2026 "])
def test_a_date_that_reads_back_equal_is_not_rewritten(raw: str) -> None:
    """A date without leading zeros stays so until it changes, and then gets them."""
    mapping = load("  opened_on: {at: /d, date: '%d.%m.%Y'}")
    assert mapping.read({"d": raw}).opened_on == date(2026, 2, 1)
    assert written(mapping, {"d": raw}, RelayLog(opened_on=date(2026, 2, 1))) == {"d": raw}
    assert written(mapping, {"d": raw}, RelayLog(opened_on=date(2026, 2, 3))) == {"d": "03.02.2026"}


def test_a_time_is_read_as_utc_and_written_in_its_zone() -> None:
    """Summer and winter are told apart, and a time without a zone is local where the mapping names one."""
    local = load("  changed_at: {at: /c, instant: iso, zone: Europe/Oslo}")
    summer, winter = datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 12, 1, 11, tzinfo=UTC)
    assert local.read({"c": "2026-07-01T12:00:00"}).changed_at == summer
    assert local.write(None, RelayLog(changed_at=summer)) == {"c": "2026-07-01T12:00:00+02:00"}
    assert local.write(None, RelayLog(changed_at=winter)) == {"c": "2026-12-01T12:00:00+01:00"}
    utc = load("  changed_at: /c")
    assert utc.write(None, RelayLog(changed_at=winter)) == {"c": "2026-12-01T11:00:00Z"}
    assert utc.write({"c": "2026-12-01T12:00:00+01:00"}, RelayLog(changed_at=winter)) == {
        "c": "2026-12-01T12:00:00+01:00"
    }
    with pytest.raises(MappingError, match="Expected a time as"):
        utc.read({"c": "2026-12-01T12:00:00"})


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("Solskinn Testbarn", ["Solskinn", "Testbarn"]),
        ("Elvetest Nordlys Prøvebarn", ["Elvetest Nordlys", "Prøvebarn"]),
        ("Einnamn", ["Einnamn", None]),
    ],
)
def test_joined_text_is_split_at_the_last_separator(name: str, pieces: list[str | None]) -> None:
    """The last word goes to the last place; one word alone empties it."""
    mapping = load("  subject.name: {at: [/a, /b], join: ' '}")
    out = written(mapping, {"a": "Gamal", "b": "Avløyst"}, RelayLog(subject=Subject(name=name)))
    assert [out["a"], out["b"]] == pieces
    assert mapping.read(out).subject.name == name


def test_words_for_yes_and_no() -> None:
    """A third word means not known, or false where the model has no third value; only a known answer is written."""
    mapping = load(
        "  violence: {at: /v, bool: {yes: ja, no: nei}}\n"
        "  consents[]: {each: /c, key: /id, fields: {child_asked: {at: /s, bool: {yes: ja, no: nei}}}}"
    )
    log = mapping.read({"v": "kanskje", "c": [{"id": "1", "s": "ukjent"}, {"id": "2", "s": "nei"}]})
    assert (log.violence, [consent.child_asked for consent in log.consents]) == (False, [None, False])
    assert mapping.write({"v": "kanskje"}, log)["v"] == "kanskje"
    assert mapping.write({"v": "kanskje"}, RelayLog(violence=True)) == {"v": "ja"}


def test_a_default_counts_where_nothing_is_said() -> None:
    """The default is read, and not written where the record says nothing."""
    mapping = load("  step: {at: /s, default: '1'}\n  opened_on: {at: /o, default: 2026-01-01}")
    log = mapping.read({"s": None})
    assert (log.step, log.opened_on) == ("1", date(2026, 1, 1))
    assert mapping.write({"s": None}, log) == {"s": None}


def test_a_constant_is_always_written() -> None:
    """`const` stands in every record that is written, whatever the log says."""
    mapping = load("  template.id: {at: /kind, const: T}")
    assert mapping.write(None, RelayLog()) == {"kind": "T"}
    assert mapping.write({"kind": "T"}, RelayLog()) == {"kind": "T"}


STATES = "codes: {A: active, U: draft}, keep: [awaiting_consent, closed, archived, rejected], write_as: {paused: A}"


@pytest.mark.parametrize(
    ("raw", "status", "kept"),
    [
        ("A", LogStatus.ACTIVE, []),
        ("B", LogStatus.PAUSED, []),
        (" A", LogStatus.ACTIVE, []),
        (None, LogStatus.UNKNOWN, []),
        ("Å", LogStatus.UNKNOWN, ["Å"]),
        (7, LogStatus.UNKNOWN, ["7"]),
    ],
)
def test_codes_are_read_by_list_alias_or_kept(raw: object, status: LogStatus, kept: list[str]) -> None:
    """A foreign code reads as unknown and is kept beside it; the record keeps it too."""
    mapping = load(f"  status: {{at: /s, {STATES}, read_as: {{B: paused}}}}")
    log = mapping.read({"s": raw})
    assert log.status is status
    assert [(one.key, one.id, one.value) for one in log.extensions] == [("status", "status", code) for code in kept]
    assert mapping.write({"s": raw}, log) == {"s": raw}


@pytest.mark.parametrize(
    ("status", "code"),
    [(LogStatus.DRAFT, "U"), (LogStatus.PAUSED, "A"), (LogStatus.CLOSED, "U2"), (LogStatus.UNKNOWN, "U2")],
)
def test_codes_are_written_as_listed(status: LogStatus, code: str) -> None:
    """A code is written as its own, as the nearest one, or not at all."""
    mapping = load(f"  status: {{at: /s, {STATES}}}")
    assert written(mapping, {"s": "U2"}, RelayLog(status=status)) == {"s": code}


def test_codes_match_composed_and_decomposed_letters() -> None:
    """`nådd` is the same code whichever way its letters are stored, and stays as it was stored."""
    mapping = load(
        "  goals[]: {each: /g, key: /id, fields: "
        "{status: {at: /s, codes: {nådd: reached}, keep: [ongoing, changed, ended]}}}"
    )
    record: Tree = {"g": [{"id": "1", "s": unicodedata.normalize("NFD", "nådd")}]}
    log = mapping.read(record)
    assert (log.goals[0].status, log.extensions) == ("reached", ())
    assert mapping.write(record, log) == record


def test_a_foreign_code_may_be_held_or_read_as_the_default() -> None:
    """`hold` refuses the record without showing the code; `default` reads it as the default."""
    held = load(f"  status: {{at: /s, {STATES}, unknown: hold}}")
    with pytest.raises(MappingError, match="Expected one of the codes A, U") as caught:
        held.read({"s": "HEMMELEG"})
    assert "HEMMELEG" not in str(caught.value)
    lenient = load(f"  status: {{at: /s, {STATES}, unknown: default, default: draft}}")
    assert lenient.read({"s": "X"}) == RelayLog(source=Source(system="test"), status=LogStatus.DRAFT)


def test_levels_are_numbers_unless_codes_say_otherwise() -> None:
    """0 is a level like the others; what is no level is kept as a foreign code."""
    mapping = load("  level: /l")
    assert [mapping.read({"l": raw}).level for raw in (0, "3", None)] == [BtiLevel(0), BtiLevel(3), None]
    assert mapping.read({"l": 4}).extensions[0].value == "4"
    assert mapping.write({"l": 2}, RelayLog(level=BtiLevel(0))) == {"l": 0}


def test_a_scope_of_a_consent_never_widens_by_a_foreign_code() -> None:
    """A foreign part opens nothing, is kept, and stays in the record's list when the list is written."""
    mapping = load(
        "  consents[]: {each: /c, key: /id, fields: {parts: {at: /p, codes: {H: health, P: ppt}, "
        "keep: [education, child_welfare, child_voice, about_others, contact, own]}}}"
    )
    record: Tree = {"c": [{"id": "1", "p": ["H", "X"]}]}
    log = mapping.read(record)
    assert log.consents[0].parts == (Part.HEALTH,)
    assert log.extensions[0].value == "X"
    wider = RelayLog(consents=(Consent(id="1", parts=(Part.PPT, Part.HEALTH, Part.OWN)),))
    assert written(mapping, record, wider) == {"c": [{"id": "1", "p": ["P", "H", "X"]}]}


def test_an_empty_value_keeps_what_stands_and_clear_empties_it() -> None:
    """Nothing is blanked by silence; what is named to be cleared is, in the log and in an element."""
    mapping = load("  step: /s\n" + PLAIN_NOTES)
    record: Tree = {"s": "1", "n": [{"id": "a", "t": "x", "d": "2026-01-01"}]}
    log = RelayLog(notes=(Note(id="a"),))
    assert written(mapping, record, log) == record
    assert written(mapping, record, log, ("", "", "step"), ("notes", "a", "text")) == {
        "s": None, "n": [{"id": "a", "t": None, "d": "2026-01-01"}],
    }  # fmt: skip


def test_a_whole_value_is_cleared_to_nothing() -> None:
    """A reopened log loses its closing: the object becomes null unless something unmapped is left in it."""
    mapping = load("  closure.on: /c/d\n  closure.text: /c/t")
    log = RelayLog()
    assert written(mapping, {"c": {"d": "2026-01-01", "t": "x"}}, log, ("", "", "closure")) == {"c": None}
    assert written(mapping, {"c": {"d": "2026-01-01", "x": 1}}, log, ("", "", "closure")) == {"c": {"d": None, "x": 1}}
    assert written(mapping, {"c": {"d": "2026-01-01", "t": "x"}}, log, ("", "", "closure.text")) == {
        "c": {"d": "2026-01-01", "t": None}
    }


def test_a_value_inside_is_there_only_if_the_record_says_something() -> None:
    """An empty object is no closing, a foreign reason is one; writing makes the object where it is missing."""
    mapping = load("  closure.on: /c/d\n  closure.text: /c/t")
    assert [mapping.read({"c": c}).closure for c in (None, {}, {"d": None, "t": ""})] == [None] * 3
    assert mapping.write({"c": None}, RelayLog(closure=Closure(text="x"))) == {"c": {"t": "x"}}


def test_new_elements_are_added_without_a_key_and_nothing_is_removed() -> None:
    """Rows that the log lacks stay, in their order; a new element gets what the log says and no nulls."""
    mapping = load(PLAIN_NOTES)
    record: Tree = {"n": [{"id": 7, "t": "x", "more": [1]}, {"id": "b", "t": "y"}]}
    log = RelayLog(notes=(Note(id="ours", text="ny"), Note(id="7", text="z"), Note(id="empty")))
    assert written(mapping, record, log) == {
        "n": [{"id": 7, "t": "z", "more": [1]}, {"id": "b", "t": "y"}, {"t": "ny"}]
    }
    assert mapping.write(None, log) == {"n": [{"t": "ny"}, {"t": "z"}]}


def test_a_row_without_a_key_that_says_the_same_is_that_element() -> None:
    """A keyless row is not doubled, whether its element comes with no id or with one that the target never gave."""
    mapping = load(PLAIN_NOTES)
    record: Tree = {"n": [{"t": "x", "d": "2026-01-01"}, {"id": None, "t": "x"}]}
    assert mapping.write(record, mapping.read(record)) == record
    assert written(mapping, record, RelayLog(notes=(Note(id="ours", text="x", on=date(2026, 1, 1)),))) == record
    three = RelayLog(notes=(Note(text="x"), Note(text="x"), Note(text="x")))
    assert written(mapping, record, three) == {"n": [*rows(record, "n"), {"t": "x"}]}


def test_references_are_written_only_to_elements_that_the_target_has() -> None:
    """A reference to an id that is no key of the target leaves the record's; a key is written as the target has it."""
    mapping = load(
        "  goals[]: {each: /g, key: /id, fields: {text: /t, concern: /c}}\n"
        "  concerns[]: {each: /c, key: /id, fields: {text: /t}}"
    )
    record: Tree = {"c": [{"id": 1, "t": "a"}, {"id": 2, "t": "b"}], "g": [{"id": "g", "c": 1}]}
    log = mapping.read(record)
    assert log.goals[0].concern == "1"
    assert mapping.write(record, log) == record
    assert rows(written(mapping, record, RelayLog(goals=(Goal(id="g", concern="2"),))), "g") == [{"id": "g", "c": 2}]
    new = RelayLog(concerns=(Concern(id="ours", text="n"),), goals=(Goal(id="g", concern="ours"),))
    assert rows(written(mapping, record, new), "g") == [{"id": "g", "c": 1}]


NESTED = """  measures[]:
    each: /m
    key: /id
    fields:
      text: /t
      evaluations[]: {each: /e, key: /id, belongs: measure, fields: {text: /t}}
"""


def test_nested_rows_are_read_flat_and_written_where_they_belong() -> None:
    """An evaluation stands inside its measure, follows it to another, and is left out where its measure is nowhere."""
    mapping = load(NESTED)
    record: Tree = {"m": [{"id": "1", "e": [{"id": "x", "t": "a", "own": 1}]}, {"id": "2"}]}
    assert [(one.id, one.measure) for one in mapping.read(record).evaluations] == [("x", "1")]
    log = RelayLog(
        measures=(Measure(id="ours", text="ny"),),
        evaluations=(
            Evaluation(id="x", measure="2", text="b"),
            Evaluation(id="y", measure="ours", text="c"),
            Evaluation(id="z", measure="nowhere", text="d"),
        ),
    )
    assert written(mapping, record, log) == {
        "m": [
            {"id": "1", "e": []},
            {"id": "2", "e": [{"id": "x", "t": "b", "own": 1}]},
            {"t": "ny", "e": [{"t": "c"}]},
        ]
    }


def test_values_are_written_whole_and_equal_ones_keep_their_row() -> None:
    """A new signer joins the list; the row of the one who stands there keeps what no rule reads."""
    mapping = load("  consents[]: {each: /c, key: /id, fields: {signed_by: {each: /g, fields: {name: /n, on: /d}}}}")
    record: Tree = {"c": [{"id": "1", "g": [{"n": "A", "how": "BankID"}, {"n": "B"}]}]}
    log = RelayLog(consents=(Consent(id="1", signed_by=(Signer(name="C"), Signer(name="A"))),))
    assert written(mapping, record, log) == {"c": [{"id": "1", "g": [{"n": "C"}, {"n": "A", "how": "BankID"}]}]}
    assert written(mapping, record, RelayLog(consents=(Consent(id="1"),)), ("consents", "1", "signed_by")) == {
        "c": [{"id": "1", "g": []}]
    }


def test_several_lists_feed_one_and_a_new_element_goes_where_it_fits() -> None:
    """A set value chooses the list, and `where` tells rows of one list apart and is written on new ones."""
    mapping = load(
        "  notes[]:\n"
        "    - {each: /talks, key: /id, set: {kind: child_conversation}, part: child_voice, fields: {text: /t}}\n"
        "    - {each: /all, key: /id, where: {/type: note}, fields: {text: /t}}\n"
        "  meetings[]: {each: /all, key: /id, where: {/type: meeting}, fields: {agenda: /t}}\n"
    )
    record: Tree = {
        "all": [{"id": "1", "type": "note", "t": "a"}, {"id": "2", "type": "meeting", "t": "b"}, {"type": "?"}],
        "talks": [{"id": "3", "t": "c"}],
    }
    log = mapping.read(record)
    assert [(note.id, note.kind, note.part) for note in log.notes] == [
        ("3", NoteKind.CHILD_CONVERSATION, Part.CHILD_VOICE), ("1", NoteKind.NOTE, Part.OWN),
    ]  # fmt: skip
    assert [meeting.id for meeting in log.meetings] == ["2"]
    new = RelayLog(notes=(Note(text="d"), Note(text="e", kind=NoteKind.CHILD_CONVERSATION)))
    out = written(mapping, record, new)
    assert rows(out, "all")[3:] == [{"t": "d", "type": "note"}]
    assert rows(out, "talks")[1:] == [{"t": "e"}]


OWN = "own: [kindergarten]\nwriter: {at: /w, codes: {B: kindergarten, S: school}}\n"
KIND = "codes: {N: note}, keep: [bright_spot, child_conversation, survey]"


@pytest.mark.parametrize(
    ("raw", "text", "writer", "on"),
    [
        ("Hei", "Hei", Service.KINDERGARTEN, None),
        ("[Helsestasjon 20.03.2026] Hei", "Hei", Service.HEALTH_STATION, date(2026, 3, 20)),
        ("[Child welfare service] Hei", "Hei", Service.CHILD_WELFARE, None),
        ("[Barnehage 01.01.2026] [PPT] Hei", "[PPT] Hei", Service.KINDERGARTEN, date(2026, 1, 1)),
        ("[Helsestasjon 31.02.2026] Hei", "[Helsestasjon 31.02.2026] Hei", Service.KINDERGARTEN, None),
        ("[Ein stad 20.03.2026] Hei", "[Ein stad 20.03.2026] Hei", Service.KINDERGARTEN, None),
    ],
)
def test_a_mark_is_stripped_and_says_who_and_when(raw: str, text: str, writer: Service, on: date | None) -> None:
    """The mark gives writer and date; brackets that name no service or no day are text; all is written back alike."""
    mapping = load(NOTES % KIND, OWN)
    record: Tree = {"w": "B", "n": [{"id": "1", "t": raw}]}
    note = mapping.read(record).notes[0]
    assert (note.text, note.writer, note.written_on) == (text, writer, on)
    assert mapping.write(record, mapping.read(record)) == record


@pytest.mark.parametrize(
    ("note", "raw"),
    [
        (Note(text="Hei", writer=Service.KINDERGARTEN), "Hei"),
        (Note(text="Hei", writer=Service.PPT), "[PPT] Hei"),
        (Note(text="Hei", writer=Service.SCHOOL, written_on=date(2026, 3, 1)), "[Skule 01.03.2026] Hei"),
        (Note(text="[PPT] Hei", writer=Service.KINDERGARTEN), "[Barnehage] [PPT] Hei"),
        (Note(text="Hei"), "[Ukjend] Hei"),
    ],
)
def test_text_of_another_service_is_written_with_its_mark(note: Note, raw: str) -> None:
    """What isn't the system's own shows its service and day, and own text that looks marked does too."""
    mapping = load(NOTES % KIND, OWN)
    log = RelayLog(language="nn", notes=(note,))
    out = written(mapping, {"w": "B"}, log)
    assert rows(out, "n") == [{"t": raw, "k": "N"}]
    assert mapping.read(out).notes[0].text == note.text


def test_the_writer_decides_the_part_unless_the_mapping_says() -> None:
    """A mark changes the part, a fixed part stands, and a code of the template may make a note the service's own."""
    fields = (
        "  notes[]: {each: /n, key: /id, part: {at: /p, codes: {EIGEN: own}, by_writer: DELT}, "
        "fields: {text: {at: /t, mark: true}}}\n"
        "  concerns[]: {each: /c, part: child_voice, fields: {text: {at: /t, mark: true}}}"
    )
    mapping = load(fields, OWN)
    notes = [("EIGEN", "x"), ("DELT", "x"), ("DELT", "[PPT] x"), (None, "[Helsestasjon] x"), ("NYTT", "x")]
    raw: list[object] = [{"id": str(place), "p": part, "t": text} for place, (part, text) in enumerate(notes)]
    log = mapping.read({"w": "B", "n": raw, "c": [{"t": "[PPT] x"}]})
    assert [note.part for note in log.notes] == [Part.OWN, Part.EDUCATION, Part.PPT, Part.HEALTH, Part.OWN]
    assert log.concerns[0].part is Part.CHILD_VOICE
    new = RelayLog(
        notes=(Note(text="a", part=Part.OWN, writer=Service.PPT), Note(text="b", part=Part.PPT, writer=Service.PPT))
    )
    assert [row["p"] for row in rows(written(mapping, {"w": "B"}, new), "n")] == ["EIGEN", "DELT"]


def test_a_part_that_the_writer_no_longer_explains_is_written_out() -> None:
    """Where the record leaves the part to its writer and the log has another part, the code is written."""
    mapping = load(
        "  notes[]: {each: /n, key: /id, writer: /w, part: {at: /p, codes: {O: own, H: health}, "
        "keep: [education, ppt, child_welfare, child_voice, about_others, contact]}, fields: {text: /t}}"
    )
    record: Tree = {"n": [{"id": "1", "w": "doctor", "t": "x"}]}
    assert mapping.read(record).notes[0].part is Part.HEALTH
    kept = RelayLog(notes=(Note(id="1", part=Part.HEALTH),))
    assert written(mapping, record, kept) == record
    tightened = RelayLog(notes=(Note(id="1", writer=Service.UNKNOWN, part=Part.OWN),))
    assert rows(written(mapping, record, tightened), "n") == [{"id": "1", "w": "doctor", "t": "x", "p": "O"}]


def test_one_way_rules_and_lists_are_never_written() -> None:
    """A rule or a list marked `one_way: read` leaves the record as it is, and adds nothing."""
    mapping = load(
        "  step: {at: /s, one_way: read}\n  notes[]: {each: /n, key: /id, one_way: read, fields: {text: /t}}"
    )
    record: Tree = {"s": "1", "n": [{"id": "1", "t": "x"}]}
    log = RelayLog(step="2", notes=(Note(id="1", text="y"), Note(text="z")))
    assert mapping.write(record, log) == record
    assert mapping.write(None, log) == {}


@pytest.mark.parametrize(
    ("record", "pointer", "path", "line", "remedy"),
    [
        ({"s": ["HEMMELEG"]}, "/s", "step", 8, "text"),
        ({"c": "HEMMELEG"}, "/c", "closure.on", 9, "an object"),
        ({"c": {"d": "HEMMELEG"}}, "/c/d", "closure.on", 9, "a date as yyyy-mm-dd"),
        ({"m": {"HEMMELEG": 1}}, "/m", "measures[]", 11, "a list"),
        ({"m": [{}, "HEMMELEG"]}, "/m/1", "measures[]", 11, "an object"),
        ({"m": [{"id": {"HEMMELEG": 1}}]}, "/m/0/id", "measures[].id", 12, "a key that is text or a whole number"),
        ({"m": [{"id": "HEMMELEG"}, {"id": "HEMMELEG"}]}, "/m/1/id", "measures[].id", 12, "no other row has"),
        ({"m": [{"e": [{"t": True}]}]}, "/m/0/e/0/t", "evaluations[].text", 15, "text"),
        ({"m": [{"e": [[]]}]}, "/m/0/e/0", "evaluations[]", 15, "an object"),
        ({"m": [{"e": 7}]}, "/m/0/e", "evaluations[]", 15, "a list"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_by_place(
    record: Tree, pointer: str, path: str, line: int, remedy: str
) -> None:
    """The error names the place in the record, the rule and the remedy, never the value; writing refuses alike."""
    mapping = load("  step: /s\n  closure.on: /c/d\n" + NESTED)
    log = RelayLog(step="1", closure=Closure(on=date(2026, 1, 1)), evaluations=(Evaluation(id="", text="x"),))
    attempts: list[Callable[[], object]] = [lambda: mapping.read(record)]
    if not pointer.endswith("/t"):  # a text that no element of the log is put on is not looked at
        attempts.append(lambda: mapping.write(record, log))
    for attempt in attempts:
        with pytest.raises(MappingError) as caught:
            attempt()
        error = caught.value
        assert (error.mapping, error.pointer, error.path) == ("test/language", pointer, path)
        assert (error.file, error.line) == ("test.yaml", line)
        assert remedy in error.remedy
        assert "HEMMELEG" not in str(error)


def test_a_record_without_what_is_required_is_refused() -> None:
    """No id, or nobody whom the log is about: the record stops, and the error says which rule would fill it."""
    mapping = load("  source.id: /id\n  subject.name: /n", "required: [source.id, subject.name]\n")
    assert mapping.read({"id": 5, "n": "Solskinn"}).source == Source(system="test", id="5")
    with pytest.raises(MappingError, match=r"/n does not fit subject.name \(test.yaml:10\). Expected a value"):
        mapping.read({"id": 5, "n": ""})
    with pytest.raises(MappingError, match=r"/id does not fit source\.id"):
        mapping.read({"n": "Solskinn"})
