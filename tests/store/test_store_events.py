"""Events hold codes only, belong to the transaction of the deed, and cannot be changed unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, func, select, update

from hub.store.database import Database
from hub.store.events import Action, ChainProblem, Head, NotACode, append, chain, verify
from hub.store.tables import events

TENANT = "100000008"  # made up
OTHER = "200000005"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def test_an_event_is_kept_as_written(db: Database) -> None:
    """Action, subject, actor, instant and typed data come back as they went in."""
    mapping = "vigilo/stafettlogg"
    with db.write() as tx:
        append(
            tx,
            TENANT,
            Action.LOG_MERGED,
            "log",
            "0f3c6a1e",
            "hub",
            NOW,
            version=3,
            mapping=mapping,
            path="measures[].text",
            first=True,
        )
        row = tx.execute(select(events)).one()
    assert (row.action, row.subject_kind, row.subject_id) == ("hub:log:merged", "log", "0f3c6a1e")
    assert (row.tenant, row.actor, row.at, row.hash) == (TENANT, "hub", NOW, None)
    assert row.data == {"version": 3, "mapping": mapping, "path": "measures[].text", "first": True}


def test_an_event_of_a_deed_that_failed_is_not_kept(db: Database) -> None:
    """What is rolled back leaves no event."""

    def fail() -> None:
        with db.write() as tx:
            _append(tx, 1)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with db.read() as tx:
        assert tx.scalar(select(func.count()).select_from(events)) == 0


@pytest.mark.parametrize(
    "value",
    ["Solskinn", "to ord", "tiltak: lese", "10915596784", "id:10915596784", "", "x" * 161, "blåbær", "a\nb", 1.5, None],
)
def test_free_text_does_not_get_in(db: Database, value: object) -> None:
    """Names, sentences, national ids, fractions and nothing are refused, and the error does not repeat them."""
    with db.write() as tx, pytest.raises(NotACode) as caught:
        append(tx, TENANT, Action.RUN_ENDED, "run", "r1", "hub", NOW, outcome=value)  # type: ignore[arg-type]
    assert str(caught.value).startswith("hub:run:ended: 'outcome' is ")
    assert not value or str(value) not in str(caught.value)


@pytest.mark.parametrize(
    ("subject_id", "actor"), [("Solskinn Testbarn", "hub"), ("10915596784", "hub"), ("l1", "Kari T"), ("l1", "")]
)
def test_subject_and_actor_are_ids(db: Database, subject_id: str, actor: str) -> None:
    """Neither the subject nor the actor can be a name with a blank or a national id."""
    with db.write() as tx, pytest.raises(NotACode):
        append(tx, TENANT, Action.PERSON_LOG_OPENED, "log", subject_id, actor, NOW)


def test_actions_have_the_form_of_the_vocabulary() -> None:
    """Every action is source:subject:action, done by the hub or by a person, and stands once."""
    parts = [action.value.split(":") for action in Action]
    assert {len(part) for part in parts} == {3}
    assert {part[0] for part in parts} == {"hub", "person"}


def test_a_chain_holds_and_grows(db: Database) -> None:
    """Events get their places in order, in several goes and batches, each tenant for itself."""
    assert chain(db, TENANT) is None
    with db.write() as tx:
        for number in range(1001):
            _append(tx, number)
        append(tx, OTHER, Action.RUN_ENDED, "run", "r1", "hub", NOW)
    first = chain(db, TENANT)
    with db.write() as tx:
        _append(tx, 1001)
    second = chain(db, TENANT)
    assert first is not None
    assert second is not None
    assert (first.position, second.position) == (1001, 1002)
    assert chain(db, TENANT) == second
    assert verify(db, TENANT, [first, second]) == verify(db, TENANT) == verify(db, OTHER) == []
    with db.read() as tx:
        places = tx.scalars(select(events.c.position).where(events.c.tenant == TENANT).order_by(events.c.event_id))
        assert places.all() == list(range(1, 1003))


@pytest.mark.parametrize(
    "change",
    [
        {"action": "hub:log:wiped"},
        {"subject_id": "l9"},
        {"actor": "somebody"},
        {"data": {"number": 7}},
        {"at": NOW + timedelta(microseconds=1)},
        {"previous_hash": "1" * 64},
        {"hash": "1" * 64},
    ],
)
def test_a_changed_event_is_found(db: Database, change: dict[str, object]) -> None:
    """Whatever is changed in an event, its place is named."""
    _three(db)
    with db.write() as tx:
        tx.execute(update(events).where(events.c.position == 2).values(**change))
    assert ChainProblem(2, "changed") in verify(db, TENANT)


def test_a_removed_event_is_found(db: Database) -> None:
    """An event taken out of the middle leaves a gap where it stood."""
    _three(db)
    with db.write() as tx:
        tx.execute(delete(events).where(events.c.position == 2))
    assert verify(db, TENANT) == [ChainProblem(2, "gap")]


def test_a_cut_end_is_found_by_the_head_kept_outside(db: Database) -> None:
    """Without a head a shorter chain looks whole; with it the missing end is seen."""
    head = _three(db)
    with db.write() as tx:
        tx.execute(delete(events).where(events.c.position == 3))
    assert verify(db, TENANT) == []
    assert verify(db, TENANT, [head]) == [ChainProblem(3, "cut")]


def test_a_chain_made_anew_is_found_by_the_head_kept_outside(db: Database) -> None:
    """Somebody who changes an event and chains all again is contradicted by the head."""
    head = _three(db)
    with db.write() as tx:
        tx.execute(update(events).where(events.c.position == 1).values(actor="nobody"))
        tx.execute(update(events).values(position=None, hash=None, previous_hash=None))
    chain(db, TENANT)
    assert verify(db, TENANT) == []
    assert verify(db, TENANT, [head]) == [ChainProblem(3, "changed")]


def _append(tx: Connection, number: int) -> None:
    append(tx, TENANT, Action.RECORD_ADMITTED, "log", f"l{number}", "hub", NOW, number=number)


def _three(db: Database) -> Head:
    with db.write() as tx:
        for number in range(3):
            _append(tx, number)
    head = chain(db, TENANT)
    assert head is not None
    return head
