"""What each codec reads and writes, and that what it can't restore is kept or refused."""

import unicodedata
from datetime import UTC, date, datetime

import pytest

from hub.mappings.language import MappingError, Tree, load_mapping
from hub.relaylog.codes import Arena, DevelopmentArea, MeasureStatus, Part, Service
from hub.relaylog.model import (
    Agreement,
    Attachment,
    Concern,
    Consent,
    Evaluation,
    Guardian,
    Measure,
    Meeting,
    RelayLog,
    Subject,
)
from tests.mappings.small import HEAD, load, rows, written

OSLO_SUMMER = datetime(2026, 7, 1, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("raw", ["14.3.2026", "2026-03-14", " 14.03.2026 "])
def test_a_date_may_be_read_in_several_formats_and_is_written_in_the_first(raw: str) -> None:
    """What reads back equal stays as it stood; a new date takes the first format."""
    mapping = load('  opened_on: {at: /d, date: ["%d.%m.%Y", "%Y-%m-%d"]}')
    log = mapping.read({"d": raw})
    assert log.opened_on == date(2026, 3, 14)
    assert written(mapping, {"d": raw}, log) == {"d": raw}
    assert written(mapping, {"d": raw}, RelayLog(opened_on=date(2026, 3, 15))) == {"d": "15.03.2026"}


@pytest.mark.parametrize("raw", ["14.03.26", "14.03.0026x", "31.02.2026", "14/03/2026"])
def test_a_date_of_two_digit_years_or_of_another_form_is_refused(raw: str) -> None:
    """Nobody guesses the century, nor the day; the error shows the formats."""
    mapping = load('  opened_on: {at: /d, date: ["%d.%m.%Y", iso]}')
    with pytest.raises(MappingError, match=r"a date as dd\.mm\.yyyy or yyyy-mm-dd") as caught:
        mapping.read({"d": raw})
    assert raw not in str(caught.value)


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_blanks_in_a_form_are_nothing(empty: str | None) -> None:
    """A date, a time, a code, a number or a tick that nobody filled in reads as nothing, and stays as it is."""
    mapping = load(
        "  opened_on: /d\n  changed_at: /t\n  status: {at: /s, words: nb}\n"
        "  violence: {at: /v, bool: {yes: Ja, no: Nei}}"
    )
    record: Tree = {"d": empty, "t": empty, "s": empty, "v": empty}
    log = mapping.read(record)
    assert (log.opened_on, log.changed_at, log.status, log.violence) == (None, None, "unknown", False)
    assert mapping.write(record, log.model_copy(update={"violence": False}))["d"] == empty


def test_a_local_time_is_read_in_its_zone_and_written_as_it_is_told() -> None:
    """Several formats are read, the first is written, and the second of two equal hours is left alone."""
    mapping = load('  changed_at: {at: /t, instant: ["%d.%m.%Y %H:%M", iso], zone: Europe/Oslo}')
    for raw in ("01.07.2026 12:05", "1.7.2026 12:05", "2026-07-01T12:05:00", "2026-07-01T10:05:00Z"):
        assert mapping.read({"t": raw}).changed_at == OSLO_SUMMER
        assert mapping.write({"t": raw}, RelayLog(changed_at=OSLO_SUMMER)) == {"t": raw}
    assert mapping.write(None, RelayLog(changed_at=OSLO_SUMMER)) == {"t": "01.07.2026 12:05"}
    twice = RelayLog(changed_at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert mapping.write({"t": "24.10.2026 12:00"}, twice) == {"t": "24.10.2026 12:00"}


def test_a_time_may_stand_in_two_places() -> None:
    """A day and a clock time are joined on reading and split on writing."""
    mapping = load(
        "  meetings[]: {each: /m, fields: {starts_at: "
        '{at: [/dato, /kl], join: " ", instant: "%d.%m.%Y %H:%M", zone: Europe/Oslo}, place: /stad}}'
    )
    record: Tree = {"m": [{"dato": "01.07.2026", "kl": "12:05", "stad": "Rom 2"}]}
    log = mapping.read(record)
    assert log.meetings[0].starts_at == OSLO_SUMMER
    assert mapping.write(record, log) == record
    assert mapping.write(None, log) == record
    with pytest.raises(MappingError, match="a time as"):
        mapping.read({"m": [{"dato": "01.07.2026"}]})


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("Solskinn Testbarn", "Testbarn, Solskinn"),
        ("Elvetest Nordlys Prøvebarn", "Prøvebarn, Elvetest Nordlys"),
        ("Einnamn", "Einnamn"),
    ],
)
def test_a_family_name_may_stand_first(name: str, raw: str) -> None:
    """`Etternavn, Fornavn` is turned around both ways; a single name stays."""
    mapping = load('  subject.name: {at: /n, name: "Etternavn, Fornavn"}')
    assert mapping.read({"n": raw}).subject.name == name
    assert written(mapping, None, RelayLog(subject=Subject(name=name))) == {"n": raw}


def test_a_name_that_would_not_turn_back_keeps_the_record() -> None:
    """A family name of two words stays as it was read; a name with odd blanks has no form and is not written."""
    mapping = load('  subject.name: {at: /n, name: "Etternamn, Fornamn"}')
    record: Tree = {"n": "Prøve Barn, Solskinn"}
    assert mapping.write(record, mapping.read(record)) == record
    assert mapping.write({"n": "A, B"}, RelayLog(subject=Subject(name="Solskinn, "))) == {"n": "A, B"}


@pytest.mark.parametrize(("option", "glue"), [('lines: "\\n"', "\n"), ('split: ", "', ", "), ('split: ";"', ";")])
def test_one_text_may_hold_a_list(option: str, glue: str) -> None:
    """Names in one text become a list and a text again; blanks and empty lines are not names."""
    mapping = load(f"  agreements[]: {{each: /a, key: /id, fields: {{parties: {{at: /p, {option}}}}}}}")
    record: Tree = {"a": [{"id": "1", "p": f"PPT{glue}{glue} Skulen"}]}
    log = mapping.read(record)
    assert log.agreements[0].parties == ("PPT", "Skulen")
    assert mapping.write(record, log) == record
    more = RelayLog(agreements=(Agreement(id="1", parties=("PPT", "Heimen", f"Skulen{glue}v/rektor")),))
    text = rows(written(mapping, record, more), "a")[0]["p"]
    assert text == f"PPT{glue}Heimen{glue}Skulen v/rektor"


def test_lines_take_every_kind_of_line_end() -> None:
    """A list in one text is the same whether its lines end as on Windows, Unix or an old Mac."""
    mapping = load('  agreements[]: {each: /a, fields: {parties: {at: /p, lines: "\\n"}, text: /t}}')
    for end in ("\r\n", "\n", "\r"):
        log = mapping.read({"a": [{"p": f"PPT{end}Skulen", "t": f"ein{end}to"}]})
        assert (log.agreements[0].parties, log.agreements[0].text) == (("PPT", "Skulen"), "ein\nto")


def test_paragraphs_become_one_text_and_paragraphs_again() -> None:
    """Where the record has a list and the relay log one text, `lines` joins and splits."""
    mapping = load('  meetings[]: {each: /m, key: /id, fields: {minutes: {at: /avsnitt, lines: "\\n"}}}')
    record: Tree = {"m": [{"id": "1", "avsnitt": ["Fyrst", "", "Sist"]}]}
    log = mapping.read(record)
    assert log.meetings[0].minutes == "Fyrst\n\nSist"
    assert mapping.write(record, log) == record
    new = RelayLog(meetings=(Meeting(id="1", minutes="A\nB"),))
    assert rows(written(mapping, record, new), "m")[0]["avsnitt"] == ["A", "B"]
    with pytest.raises(MappingError, match="a list of texts"):
        mapping.read({"m": [{"avsnitt": "tekst"}]})


AREAS = (
    "codes: {SP: language, SO: social, LE: play}, write_as: {learning: SO}, "
    "keep: [motor, behaviour, mental_health, physical_health, attendance, home, transition, other]"
)


def test_codes_may_stand_in_one_text() -> None:
    """A text of codes is read in the list's order; foreign codes stay, equal codes are written once."""
    mapping = load(f'  concerns[]: {{each: /c, key: /id, fields: {{areas: {{at: /o, split: ",", {AREAS}}}}}}}')
    record: Tree = {"c": [{"id": "1", "o": "LE, SP,XX"}]}
    log = mapping.read(record)
    assert log.concerns[0].areas == (DevelopmentArea.LANGUAGE, DevelopmentArea.PLAY, DevelopmentArea.UNKNOWN)
    assert [one.value for one in log.extensions] == ["XX"]
    assert mapping.write(record, log) == record
    areas = (DevelopmentArea.SOCIAL, DevelopmentArea.LEARNING, DevelopmentArea.HOME)
    new = RelayLog(concerns=(Concern(id="1", areas=areas),))
    assert rows(written(mapping, record, new), "c")[0]["o"] == "SO,XX"


def test_a_list_keeps_the_spelling_of_codes_that_stay() -> None:
    """When one code is added, those that stand there are not respelt."""
    mapping = load(
        "  consents[]: {each: /c, key: /id, fields: {parts: {at: /p, codes: {H: health, P: ppt}, "
        "read_as: {h2: health}, keep: [education, child_welfare, child_voice, about_others, contact, own]}}}"
    )
    record: Tree = {"c": [{"id": "1", "p": ["h2"]}]}
    log = RelayLog(consents=(Consent(id="1", parts=(Part.PPT, Part.HEALTH)),))
    assert written(mapping, record, log) == {"c": [{"id": "1", "p": ["P", "h2"]}]}
    kept = RelayLog(consents=(Consent(id="1", parts=(Part.OWN,)),))
    assert written(mapping, record, kept) == record


@pytest.mark.parametrize(
    ("raw", "size"), [(12, 12), ("12", 12), ("1 024", 1024), ("1\u00a0024,00", 1024), (7.0, 7), ("", 0), (None, 0)]
)
def test_whole_numbers_are_read_from_text(raw: object, size: int) -> None:
    """Digits count as text too, with blanks between thousands and zeros behind a decimal comma."""
    mapping = load("  attachments[]: {each: /v, key: /id, fields: {size: {at: /s, number: text}}}")
    record: Tree = {"v": [{"id": "1", "s": raw}]}
    log = mapping.read(record)
    assert log.attachments[0].size == size
    assert mapping.write(record, log) == record
    new = RelayLog(attachments=(Attachment(id="1", size=99),))
    assert rows(written(mapping, record, new), "v")[0]["s"] == "99"


@pytest.mark.parametrize("raw", ["12,5", 12.5, "1.000", "tolv", True, [1]])
def test_what_is_no_whole_number_is_refused(raw: object) -> None:
    """A half, a point that could mean two things, or a word is not rounded to a number."""
    mapping = load("  attachments[]: {each: /v, fields: {size: /s}}")
    with pytest.raises(MappingError, match="a whole number"):
        mapping.read({"v": [{"s": raw}]})


@pytest.mark.parametrize(
    ("raw", "said"), [("Ja", True), ("ja ", True), ("X", True), ("Nei", False), ("-", False), ("veit ikkje", None)]
)
def test_yes_and_no_may_have_several_words(raw: str, said: bool | None) -> None:
    """Any of the words is read, small or large; the first is written, and an unknown answer never overwrites."""
    mapping = load(
        "  guardians[]: {each: /f, key: /id, fields: {parental_responsibility: "
        "{at: /p, bool: {yes: [Ja, X], no: [Nei, '-']}}}}"
    )
    record: Tree = {"f": [{"id": "1", "p": raw}]}
    log = mapping.read(record)
    assert log.guardians[0].parental_responsibility is said
    assert mapping.write(record, log) == record
    yes = RelayLog(guardians=(Guardian(id="1", parental_responsibility=True),))
    assert rows(mapping.write({"f": [{"id": "1", "p": "Nei"}]}, yes), "f")[0]["p"] == "Ja"


def test_a_default_answers_for_an_empty_tick() -> None:
    """`default` is what yes and no are where the record says nothing."""
    mapping = load("  violence: {at: /v, default: true}")
    assert [mapping.read({"v": raw}).violence for raw in (None, False, True)] == [True, False, True]


@pytest.mark.parametrize("raw", ["nådd", "NÅDD", "Nådd", unicodedata.normalize("NFD", "nådd")])
def test_codes_match_large_and_small_letters(raw: str) -> None:
    """People type codes as they like; the record keeps what they typed."""
    mapping = load(
        "  goals[]: {each: /g, key: /id, fields: "
        "{status: {at: /s, codes: {nådd: reached}, keep: [ongoing, changed, ended]}}}"
    )
    record: Tree = {"g": [{"id": "1", "s": raw}]}
    log = mapping.read(record)
    assert (log.goals[0].status, log.extensions) == ("reached", ())
    assert mapping.write(record, log) == record


def test_letters_tell_codes_apart_where_a_list_says_so() -> None:
    """Two codes that differ only in large letters stay two codes, and a third spelling is foreign."""
    mapping = load(
        "  status: {at: /s, codes: {a: active, A: closed}, keep: [draft, awaiting_consent, paused, archived, rejected]}"
    )
    assert [mapping.read({"s": raw}).status for raw in ("a", "A")] == ["active", "closed"]


def test_forms_may_write_the_models_own_words() -> None:
    """`words` needs no list: every language and the code itself are read, the chosen one is written."""
    mapping = load(
        "  measures[]: {each: /t, key: /id, fields: "
        "{arena: {at: /a, words: nn}, status: {at: /s, words: nb, unknown: hold}}}"
    )
    for raw in ("Heim", "hjem", "Home", "home"):
        assert mapping.read({"t": [{"id": "1", "a": raw}]}).measures[0].arena is Arena.HOME
    log = RelayLog(measures=(Measure(id="1", arena=Arena.HOME, status=MeasureStatus.CONTINUED),))
    assert mapping.write({"t": [{"id": "1"}]}, log) == {"t": [{"id": "1", "a": "Heim", "s": "Videreført"}]}
    with pytest.raises(MappingError, match="one of the codes Planlagt"):
        mapping.read({"t": [{"id": "1", "s": "HEMMELEG"}]})


def test_the_policy_for_foreign_codes_may_stand_once_at_the_top() -> None:
    """`unknown: hold` at the top stops every foreign code that its own rule doesn't allow."""
    mapping = load("  language: {at: /l, unknown: keep}\n  status: /s", "unknown: hold\n")
    assert mapping.read({"l": "SE", "s": "active"}).language == "nb"
    with pytest.raises(MappingError, match="one of the codes draft"):
        mapping.read({"s": "ny"})


@pytest.mark.parametrize("kind", ["xml", "{kind: csv, files: {logg: {key: id}}}"])
def test_formats_of_text_are_written_as_text(kind: str) -> None:
    """Where a format knows only text, numbers, levels and yes or no are text both ways."""
    head = HEAD.replace("/kind", "/logg/kind").replace("payload: json", f"payload: {kind}")
    mapping = load_mapping(
        head + "fields:\n  level: /logg/l\n  violence: /logg/v\n"
        "  attachments[]: {each: /logg/a, key: /id, fields: {size: /s}}", "test.yaml"
    )  # fmt: skip
    record: Tree = {"logg": {"l": "2", "v": "true", "a": [{"id": "1", "s": "10"}]}}
    log = mapping.read(record)
    assert (log.level, log.violence, log.attachments[0].size) == (2, True, 10)
    assert mapping.write(record, log) == record
    assert mapping.read({"logg": {"v": "0"}}).violence is False
    assert mapping.write(None, log) == {"logg": {"l": "2", "v": "true", "a": [{"s": "10"}]}}


def test_expressions_only_read() -> None:
    """What JMESPath finds goes through the codec like any value, and is never written."""
    mapping = load(
        "  step: {jmes: \"historie[-1].steg\"}\n  holder.phone: {jmes: 'haldar.tlf[0]'}\n"
        "  evaluations[]: {each: /v, fields: {text: /t, attended: {jmes: 'deltok[?til_stades].namn'}}}"
    )
    record: Tree = {
        "historie": [{"steg": "1"}, {"steg": "2"}],
        "haldar": {"tlf": ["12345678"]},
        "v": [{"t": "x", "deltok": [{"namn": "A", "til_stades": True}, {"namn": "B"}]}],
    }
    log = mapping.read(record)
    assert (log.step, log.evaluations[0].attended) == ("2", ("A",))
    assert log.holder is not None
    assert log.holder.phone == "12345678"
    assert mapping.write(record, RelayLog(step="9")) == record
    assert "step" in mapping.carries - mapping.writes
    assert mapping.read({}).step == ""


def test_an_expression_that_does_not_fit_the_record_is_refused_without_its_value() -> None:
    """A function that can't work on what the record holds says which rule, never what."""
    mapping = load("  step: {jmes: \"join('-', steg)\"}")
    with pytest.raises(MappingError, match=r"step \(test\.yaml:8\)") as caught:
        mapping.read({"steg": "HEMMELEG"})
    assert "HEMMELEG" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_row_may_be_picked_by_its_number_for_reading() -> None:
    """`/tlf/0` reads the first of a list, and nothing where there is none."""
    mapping = load(
        "  holder.phone: {at: /tlf/0, one_way: read}\n"
        '  subject.name: {at: [/namn/0, /namn/1/del], join: " ", one_way: read}'
    )
    log = mapping.read({"tlf": ["12345678", "2"], "namn": ["Solskinn", {"del": "Testbarn"}]})
    assert log.holder is not None
    assert (log.holder.phone, log.subject.name) == ("12345678", "Solskinn Testbarn")
    assert mapping.read({"tlf": [], "namn": "x"}).holder is None


PERSONS = """persons:
  kontakt:
    name: {at: [/fornamn, /etternamn], join: " "}
    national_id: /fnr
    service: {at: /teneste, words: nn}
    phone: /tlf
    email: {at: /epost}
"""


def test_a_person_is_one_rule() -> None:
    """One table says where name, number and contact stand; each rule takes what its person has in the model."""
    mapping = load(
        "  holder: {at: /haldar, person: kontakt}\n"
        "  guardians[]: {each: /foresette, key: /id, person: kontakt, fields: {relation: {at: /r, words: nn}}}\n"
        "  parties[]: {each: /deltakarar, person: {at: /person, table: kontakt}, fields: {name: /namn}}\n"
        "  measures[]: {each: /tiltak, fields: {text: /t, responsible: {at: /av, person: {name: /n, service: /s}}}}",
        PERSONS,
    )
    record: Tree = {
        "haldar": {
            "fornamn": "Solskinn",
            "etternamn": "Testbarn",
            "teneste": "Skule",
            "tlf": "1",
            "epost": "a@example.no",
        },
        "foresette": [{"id": "1", "fornamn": "Elvetest", "etternamn": "Nordlys", "fnr": "x", "r": "Mor"}],
        "deltakarar": [{"namn": "Prøve", "person": {"teneste": "PPT", "tlf": "2"}}],
        "tiltak": [{"t": "a", "av": {"n": "Heimen", "s": "family"}}],
    }
    log = mapping.read(record)
    assert log.holder is not None
    assert (log.holder.name, log.holder.service, log.holder.phone) == ("Solskinn Testbarn", Service.SCHOOL, "1")
    assert (log.guardians[0].name, log.guardians[0].national_id) == ("Elvetest Nordlys", "x")
    assert (log.parties[0].name, log.parties[0].service, log.parties[0].phone) == ("Prøve", Service.PPT, "2")
    assert log.measures[0].responsible is not None
    assert log.measures[0].responsible.service is Service.FAMILY
    assert mapping.write(record, log) == record
    assert mapping.write(None, log) == {
        **record,
        "foresette": [{k: v for k, v in rows(record, "foresette")[0].items() if k != "id"}],
    }


def test_new_records_and_rows_get_their_constants() -> None:
    """`on_create` stands in what is new, and in nothing that was there before."""
    mapping = load(
        "  step: /s\n  evaluations[]: {each: /v, key: /id, on_create: {/kjelde/kode: HUB}, fields: {text: /t}}",
        "on_create: {/meta/versjon: '1.0'}\n",
    )
    log = RelayLog(step="1", evaluations=(Evaluation(id="1", text="a"), Evaluation(text="b")))
    assert written(mapping, None, log) == {
        "s": "1",
        "meta": {"versjon": "1.0"},
        "v": [{"t": "a", "kjelde": {"kode": "HUB"}}, {"t": "b", "kjelde": {"kode": "HUB"}}],
    }
    assert written(mapping, {"v": [{"id": "1"}]}, log)["v"] == [
        {"id": "1", "t": "a"}, {"t": "b", "kjelde": {"kode": "HUB"}},
    ]  # fmt: skip
