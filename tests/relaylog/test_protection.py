"""Protection: one protected person veils the whole log, and no view of it tells where anybody is."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import AddressProtection, ClosureReason, Part, Service
from hub.relaylog.model import (
    Actor,
    Closure,
    Guardian,
    InvolvedService,
    LevelChange,
    Measure,
    Meeting,
    Note,
    OrgUnit,
    Party,
    Relative,
    RelayLog,
    Subject,
)
from hub.relaylog.protection import is_strict, is_veiled, unread_text, veiled
from hub.relaylog.view import view
from tests.relaylog.strategies import DAY, RULES, logs, reader_sets

GRADES = (
    AddressProtection.CLIENT_ADDRESS,
    AddressProtection.CONFIDENTIAL,
    AddressProtection.STRICTLY_CONFIDENTIAL,
)
SCHOOL = frozenset({Service.SCHOOL})
TEACHER = Actor(name="<lærer>", service=Service.SCHOOL, unit="<skole>", phone="<telefon>", email="<e-post>")
MOTHER = Actor(name="Solskinn Testmor", service=Service.FAMILY, phone="<mors telefon>")
WHOLE = RelayLog(
    subject=Subject(name="Skybrudd Testbarn", address="<adresse>", address_protection=AddressProtection.CONFIDENTIAL),
    unit=OrgUnit(id="<enhet>", name="<skole>", organisation_number="<nummer>", service=Service.SCHOOL),
    holder=TEACHER,
    opened_by="<åpnet av>",
    closure=Closure(on=DAY, reason=ClosureReason.MOVED, text="<begrunnelse>", continues_as="<ny kommune>"),
    guardians=(Guardian(id="g1", name="Solskinn Testmor", phone="<mors telefon>", address="<mors adresse>"),),
    parties=(Party(id="p1", name="<lærer>", service=Service.SCHOOL, unit="<skole>", task="<oppgave>"),),
    services=(InvolvedService(id="s1", service=Service.SCHOOL, unit="<skole>", organisation_number="<nummer>"),),
    level_changes=(LevelChange(id="l1", on=DAY, reason="<flyttegrunn>"),),
    measures=(
        Measure(id="m1", text="tiltaket", responsible=TEACHER, writer=Service.SCHOOL, deadline=DAY),
        Measure(id="m2", text="hjemme", responsible=MOTHER, writer=Service.SCHOOL),
    ),
    meetings=(
        Meeting(
            id="t1",
            starts_at=datetime(2026, 11, 1, tzinfo=UTC),
            place="<møtested>",
            chair="<leder>",
            attendees=("<til stede>",),
            minutes="referatet",
            writer=Service.SCHOOL,
        ),
    ),
    notes=(Note(id="n1", text="notatet", author="<forfatter>", writer=Service.SCHOOL),),
)


def test_what_tells_of_a_place_is_left_out() -> None:
    """Not even the school's own system is sent addresses, units, people at work, phones or the frame's free text."""
    shown = view(WHOLE, SCHOOL, DAY, RULES, SCHOOL)
    assert re.findall("<[^>]*>", shown.model_dump_json()) == []
    assert (shown.unit, shown.holder, shown.parties) == (OrgUnit(service=Service.SCHOOL), None, ())


def test_what_tells_of_no_place_stays() -> None:
    """Names of the family, dates, codes and the texts that a person has read are there."""
    shown = view(WHOLE, SCHOOL, DAY, RULES, SCHOOL)
    assert [measure.text for measure in shown.measures] == ["tiltaket", "hjemme"]
    assert (shown.measures[0].responsible, shown.measures[0].deadline) == (None, DAY)
    assert shown.measures[1].responsible == Actor(name="Solskinn Testmor", service=Service.FAMILY)
    assert (shown.meetings[0].minutes, shown.meetings[0].starts_at) == ("referatet", WHOLE.meetings[0].starts_at)
    assert shown.closure == Closure(on=DAY, reason=ClosureReason.MOVED)
    assert shown.subject.name == "Skybrudd Testbarn"


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("who", ["subject", "guardian", "relative"])
def test_anybodys_protection_veils_all(who: str, grade: AddressProtection) -> None:
    """A protected guardian or sibling veils the child's log as well, in every grade."""
    open_child = WHOLE.model_copy(update={"subject": Subject(address_protection=AddressProtection.NONE)})
    protected: dict[str, dict[str, object]] = {
        "subject": {"subject": Subject(address_protection=grade)},
        "guardian": {"guardians": (Guardian(id="g2", address_protection=grade),)},
        "relative": {"relatives": (Relative(id="r1", address_protection=grade),)},
    }
    log = open_child.model_copy(update=protected[who])
    assert is_veiled(log)
    assert is_strict(log) is (grade is AddressProtection.STRICTLY_CONFIDENTIAL)
    assert "<" not in view(log, SCHOOL, DAY, RULES, SCHOOL).model_dump_json()
    assert not is_veiled(open_child)


def test_unknown_protection_is_not_none() -> None:
    """A guardian whose protection nobody knows is in the log, and is reached by nobody, not even by the holder."""
    details = {"phone": "123", "email": "x@example.invalid", "address": "veien 1"}
    known = Guardian(id="g1", address_protection=AddressProtection.NONE, **details)
    log = RelayLog(
        subject=Subject(kind="pregnant"),
        holder=Actor(service=Service.SCHOOL),
        guardians=(known, Guardian(id="g2", **details)),
        consents=(
            {
                "recipient": "school",
                "status": "given",
                "valid_from": date(2026, 1, 1),
                "signed_by": ({"name": "-", "role": "pregnant"},),
            },
        ),
    )
    first, second = view(log, SCHOOL, DAY, RULES).guardians
    assert first.phone == "123"
    assert (second.phone, second.email, second.address) == ("", "", "")


def test_a_log_without_text_has_nothing_to_read() -> None:
    """Reasons in the frame are left out, so only text of its own must be read; foreign fields and files never leave."""
    empty = WHOLE.model_copy(update={"measures": (), "meetings": (), "notes": ()})
    assert not unread_text(empty)
    assert unread_text(empty.model_copy(update={"notes": (Note(id="n1", text="notatet"),)}))
    assert not unread_text(empty.model_copy(update={"notes": (Note(id="n1", author="<forfatter>"),)}))


def _places(log: RelayLog) -> set[str]:
    """Collect what tells of a place by walking the dumped log, blind to the model's own marks."""
    keys = {
        "phone", "email", "address", "unit", "place", "organisation_number", "opened_by", "chair", "secretary",
        "attendees", "attended", "copied_to", "author", "raised_by", "registered_by", "recipient_unit", "file_sha256",
        "continues_as", "reason", "task", "parties",
    }  # fmt: skip
    found: set[str] = set()

    def walk(value: object, *, telling: bool) -> None:
        if isinstance(value, dict):
            for key, inside in value.items():
                walk(inside, telling=telling or (key in keys and value is not whole))
        elif isinstance(value, list):
            for inside in value:
                walk(inside, telling=telling)
        elif telling and isinstance(value, str) and value.startswith("<"):
            found.add(value)

    whole = log.model_dump(mode="json")
    walk(whole, telling=False)
    walk({"name": [whole["opened_by"], list(whole["unit"].values())]}, telling=True)
    return found


@settings(deadline=None, max_examples=150)
@given(logs(), reader_sets(), reader_sets(), st.sampled_from(GRADES))
def test_no_view_of_a_protected_log_tells_of_a_place(
    log: RelayLog, readers: frozenset[Service], own: frozenset[Service], grade: AddressProtection
) -> None:
    """Whoever reads, and whoever wrote it, nothing in a protected log's view stands in a field that names a place."""
    hidden = log.model_copy(update={"relatives": (Relative(id="r", address_protection=grade, part=Part.OWN),)})
    assert _places(view(hidden, readers, DAY, RULES, own)) == set()


@settings(deadline=None, max_examples=100)
@given(logs())
def test_veiling_twice_is_veiling_once(log: RelayLog) -> None:
    """A veiled log has nothing more to veil, and keeps who is protected."""
    once = veiled(log)
    assert veiled(once) == once
    assert is_strict(once) == is_strict(log)
