"""Who may do what: each role within its units, days and parts, and nothing beyond."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from hub.operate.roles import Act, Allowed, Door, LogFacts, NotAllowed, Refused, facts_of, may
from hub.operate.settings import Grant, TenantSettings, UnitSettings
from hub.operate.settings.model import Role
from hub.relaylog.codes import Part, Service
from hub.store.database import Database
from hub.store.tables import events
from tests.documents.worked import LOG_ID, worked_log

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
TENANT = "900001002"  # made up, as is the unit's number below
HOLDER = "Solskinn Testlærer"
FACTS = LogFacts(frozenset({"tussebu"}), Service.KINDERGARTEN, HOLDER, frozenset({Part.EDUCATION}))


def _grant(role: Role, **more: Any) -> Grant:
    base: dict[str, Any] = {"user": "u-1", "role": role, "valid_from": date(2026, 8, 1), "granted_by": "leiar-1"}
    needed: dict[Role, dict[str, Any]] = {Role.UNIT_LEADER: {"units": ["tussebu"]}, Role.HOLDER: {"known_as": HOLDER}}
    return Grant(**{**base, **needed.get(role, {}), **more})


MAY = {
    Act.READ: {"holder", "unit_leader", "case_reader"},
    Act.REASON: {"holder", "unit_leader", "case_reader", "rule_owner", "archivist"},
    Act.DECIDE: {"holder", "unit_leader", "rule_owner", "archivist", "operator"},
    Act.CONTROL: {"unit_leader", "data_protection_officer"},
    Act.BREACH: {"data_protection_officer", "auditor"},
    Act.INSIGHT: {"data_protection_officer", "auditor"},
    Act.RIGHTS: {"holder", "unit_leader", "case_reader", "rule_owner", "data_protection_officer"},
    Act.RULE_RIGHTS: {"unit_leader", "rule_owner"},
}


@pytest.mark.parametrize("act", list(Act))
def test_each_act_is_for_its_roles_alone(act: Act) -> None:
    """The whole table: who runs everything reads nothing, and who gets reports opens no log."""
    found = {role for role in Role if isinstance(may("u-1", act, FACTS, NOW, [_grant(role)], "why"), Allowed)}
    assert found == MAY[act]


@given(st.sampled_from(Act), st.lists(st.sampled_from(Role)))
def test_grants_of_others_and_of_other_days_open_nothing(act: Act, roles: list[Role]) -> None:
    """Whatever others are granted, and whatever was or will be granted, a user without a grant today is refused."""
    grants = [_grant(role, user="u-2") for role in roles]
    grants += [_grant(role, valid_to=date(2026, 11, 1)) for role in roles]
    grants += [_grant(role, valid_from=date(2026, 11, 3)) for role in roles]
    assert isinstance(may("u-1", act, FACTS, NOW, grants, "why"), Refused)


@pytest.mark.parametrize("day", [date(2026, 8, 1), date(2026, 11, 30)])
def test_a_grant_holds_on_its_first_and_last_day(day: date) -> None:
    """Both ends count."""
    grant = _grant(Role.UNIT_LEADER, valid_to=date(2026, 11, 30))
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert may("u-1", Act.READ, FACTS, at, [grant]) == Allowed(grant)


@pytest.mark.parametrize(
    ("grant", "why"),
    [
        (_grant(Role.UNIT_LEADER, units=["solbakken"]), "other units, services or logs"),
        (_grant(Role.HOLDER, known_as="Regnbue Testlærer"), "other units, services or logs"),
        (_grant(Role.CASE_READER, services=["ppt"]), "other units, services or logs"),
        (_grant(Role.CASE_READER), "takes a purpose"),
        (_grant(Role.OPERATOR), "takes the role case_reader, holder, unit_leader"),
    ],
)
def test_a_refusal_says_what_is_missing(grant: Grant, why: str) -> None:
    """Another unit, another holder, another service, no purpose, or another role; never a name."""
    answer = may("u-1", Act.READ, FACTS, NOW, [grant])
    assert isinstance(answer, Refused)
    assert why in answer.why
    assert "Test" not in answer.why


@pytest.mark.parametrize(("part", "named"), [(Part.HEALTH, "health"), (Part.CHILD_WELFARE, "child_welfare")])
def test_health_and_child_welfare_take_a_grant_of_their_own(part: Part, named: str) -> None:
    """A leader of the unit is refused a log with such a text until the grant names the very part."""
    facts = LogFacts(FACTS.unit, FACTS.service, HOLDER, FACTS.parts | {part})
    other = {"health": "child_welfare", "child_welfare": "health"}[named]
    for parts in ([], [other]):
        answer = may("u-1", Act.READ, facts, NOW, [_grant(Role.UNIT_LEADER, parts=parts)])
        assert answer == Refused(f"the log has text of {named}, which takes a grant of its own (`parts`)")
    assert isinstance(may("u-1", Act.READ, facts, NOW, [_grant(Role.UNIT_LEADER, parts=[named])]), Allowed)


@pytest.mark.parametrize("role", ["holder", "unit_leader", "rule_owner", "archivist", "operator"])
def test_what_waits_is_decided_by_the_role_it_waits_for(role: str) -> None:
    """A hold addressed to one role is decided by none of the others; for a holder, the unit's leader may."""
    facts = LogFacts(FACTS.unit, FACTS.service, HOLDER, addressed_to=role)
    found = {each for each in Role if isinstance(may("u-1", Act.DECIDE, facts, NOW, [_grant(each)], "why"), Allowed)}
    assert found == ({role, "unit_leader"} if role == "holder" else {role})


def test_several_grants_are_held_against_one_by_one() -> None:
    """One that is enough is enough; it is the one that is named."""
    good = _grant(Role.CASE_READER)
    assert may("u-1", Act.READ, FACTS, NOW, [_grant(Role.OPERATOR), good], "sak-7") == Allowed(good)


# --- the facts of a log, and the door -----------------------------------------------------------------------------


def _tenant(*grants: Grant, none: bool = False) -> TenantSettings:
    unit = worked_log().unit
    known = UnitSettings(id="min-eining", name=unit.name, organisation_number="900001037", service=Service.KINDERGARTEN)
    return TenantSettings.model_validate(
        {
            "connections": (),
            "rules": (),
            "roles": None if none else grants,
            "name": "Oppdikta kommune",
            "organisation_number": TENANT,
            "language": "nn",
            "controller": "Oppdikta kommune",
            "key_file": "key.json",
            "units": (known,),
        }
    )


def test_a_unit_goes_by_all_its_names() -> None:
    """A grant may name the configured unit though the log has only the name that its system uses."""
    facts = facts_of(worked_log(), _tenant())
    assert {"min-eining", worked_log().unit.name, "900001037"} <= facts.unit
    holder = worked_log().holder
    assert holder
    assert facts.holder == holder.name
    assert facts_of(worked_log(), _tenant(), [Part.EDUCATION]).parts == {Part.EDUCATION}


def test_a_refusal_at_the_door_is_an_event(db: Database) -> None:
    """Who was refused what is written down with ids and codes, and the person is told where grants stand."""
    door = Door(db, _tenant(_grant(Role.OPERATOR)), NOW, lets_all=True)
    with pytest.raises(NotAllowed, match=r"Not allowed: this takes the role .*roles\.yaml"):
        door.ask("u-1", Act.READ, FACTS, ("log", LOG_ID))
    with db.read() as tx:
        row = tx.execute(select(events)).one()
    assert (row.action, row.subject_id, row.actor, row.data) == (
        "person:access:refused",
        LOG_ID,
        "u-1",
        {"act": "read"},
    )


def test_without_grants_a_sandbox_lets_all_and_nothing_else_does(db: Database) -> None:
    """A municipality that has written no roles opens nothing in test and production."""
    assert Door(db, _tenant(none=True), NOW, lets_all=True).ask("u-1", Act.READ, FACTS, ("log", "l")) == Allowed(None)
    with pytest.raises(NotAllowed, match="There are none: make"):
        Door(db, _tenant(none=True), NOW, lets_all=False).ask("u-1", Act.READ, FACTS, ("log", LOG_ID))
    with pytest.raises(NotAllowed):
        Door(db, _tenant(), NOW, lets_all=True).ask("u-1", Act.READ, FACTS, ("log", LOG_ID))


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "unit_leader"},
        {"role": "holder"},
        {"role": "auditor", "user": "Solskinn Testleiar"},
        {"role": "auditor", "valid_to": date(2026, 7, 31)},
        {"role": "auditor", "parts": ["education"]},
        {"role": "king"},
    ],
)
def test_a_grant_that_says_too_little_is_refused(wrong: dict[str, Any]) -> None:
    """A leader of no unit, a holder of no name, a name for a user id, a backward period, an unknown part or role."""
    base = {"user": "u-1", "valid_from": date(2026, 8, 1), "granted_by": "leiar-1"}
    with pytest.raises(ValidationError) as caught:
        Grant.model_validate({**base, **wrong})
    assert "Solskinn" not in str(caught.value)
