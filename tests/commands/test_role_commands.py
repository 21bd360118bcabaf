"""Deciding on the command line takes the role that a thing waits for; a refusal changes nothing and is written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, select
from typer.testing import Result

from hub.commands.inbox import NotThere
from hub.operate.roles import NotAllowed
from hub.relaylog import codes as c
from hub.relaylog.model import Actor, Handover, Party, RelayLog
from hub.store.differences import Difference, Differences
from hub.store.inbox import Inbox, Refusal
from hub.store.logs import LogStore, Side
from hub.store.sealing import read_key_file, shred_log
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    DifferenceKind,
    TaskKind,
    deliveries,
    differences,
    logs,
    quarantine,
    tasks,
)
from hub.store.tasks import NewTask, Tasks
from hub.store.work import NewDelivery, WorkStore
from tests.commands.office import BOX_YAML, CONFIG, SCHOOL, TENANT, Office, municipality
from tests.documents.worked import LOG_ID, worked_log

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOX = f"{TENANT}/box"
HOLDER, OTHER = "Blåklokke Testlærar", "Kløver Testlærar"
ROLES = f"""\
- {{user: leiar-1, role: unit_leader, units: [tussebu], valid_from: 2020-01-01, granted_by: k-1}}
- {{user: rektor-1, role: unit_leader, units: [skule], valid_from: 2020-01-01, granted_by: k-1}}
- {{user: haldar-1, role: holder, known_as: {HOLDER}, valid_from: 2020-01-01, granted_by: k-1}}
- {{user: haldar-2, role: holder, known_as: {OTHER}, valid_from: 2020-01-01, granted_by: k-1}}
- {{user: pvo-1, role: data_protection_officer, valid_from: 2020-01-01, granted_by: k-1}}
- {{user: it-1, role: operator, valid_from: 2020-01-01, granted_by: k-1}}
"""
WHY = ("--why", "Avtalt.")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality where one of each waits: a record, a failed delivery, a difference, a task, an offer."""
    (tmp_path / "box").mkdir()
    files = {"tenant.yaml": CONFIG + SCHOOL, "roles.yaml": ROLES, "connections/box.yaml": BOX_YAML}
    made = municipality(tmp_path, files, "test")
    _fill(made)
    return made


def _fill(office: Office) -> None:
    keys = read_key_file(office.folder / "key.json", TENANT)
    store, ids = LogStore(keys), (f"id-{number}" for number in count(1))
    work = WorkStore(TENANT, lambda: next(ids))
    taking_over = Party(id="p-2", name=OTHER, role=c.Role.PARTICIPANT, service=c.Service.SCHOOL, unit="Oppdikta skule")
    with office.store() as db, db.write() as tx:
        log = worked_log(parties=(taking_over,))
        _save(store, tx, log)
        inbox = Inbox(keys, lambda: "kept-1")
        inbox.put_in_quarantine(tx, BOX, "r-1", "hash", b"not a record", Refusal("payload_xml", "/", "xml"), NOW)
        work.add_delivery(tx, NewDelivery("d-1", BOX, log.id, DeliveryKind.UPDATE, b"", "", 1), NOW)
        work.end_delivery(tx, "d-1", DeliveryState.FAILED, NOW)
        found = [Difference(DifferenceKind.NOT_LISTED, "r-2", log.id)]
        Differences(TENANT, lambda: "difference-1").found(tx, BOX, NOW, found)
        task = NewTask(TaskKind.WITHDRAWN, "consent_withdrawn", "unit_leader", BOX, "school", "skule")
        Tasks(TENANT, lambda: "task-1").set(tx, log.id, [task], NOW)


def _save(store: LogStore, tx: Connection, log: RelayLog) -> None:
    """Put a log in the store as a system has it, which says all that the log says."""
    known = tx.scalar(select(logs.c.log_id).where(logs.c.log_id == log.id))
    side = Side(BOX, "r-9", "1", "c" * 64, "profil/stafettlogg", 1, {}, log, log, log)
    stored = replace(store.load(tx, log.id) if known else store.new(log.id), log=log, agreed=log)
    store.save(tx, stored, NOW)
    store.save_side(tx, stored, side, None, NOW)


def _states(office: Office, table: Table) -> list[str]:
    with office.store() as db, db.read() as tx:
        return [str(row.state) for row in tx.execute(select(table))]


def _refused(office: Office, done: Result, about: str) -> None:
    """Show that somebody was not let, and that it was written down."""
    assert isinstance(done.exception, NotAllowed), (done.output, done.exception)
    assert "Not allowed" in str(done.exception)
    assert HOLDER not in str(done.exception)
    assert f'"person:access:refused", "{about.partition("/")[0]}", "{about.partition("/")[2]}"' in office.all_events()


def test_a_difference_is_closed_by_whoever_runs_the_hub(office: Office) -> None:
    """The leader of the unit is refused, and the difference stands; the operator closes it."""
    asked = ("inbox", "close", "difference-1", *WHY, "--who")
    _refused(office, office.hub(*asked, "leiar-1"), "difference/difference-1")
    assert _states(office, differences) == ["open"]
    assert office.hub(*asked, "it-1").output == "Closed.\n"
    assert _states(office, differences) == ["closed"]


def test_a_record_in_quarantine_is_closed_by_whoever_runs_the_hub(office: Office) -> None:
    """The leader of the unit is refused, and the record stays; the operator closes it."""
    asked = ("inbox", "close", "kept-1", *WHY, "--who")
    _refused(office, office.hub(*asked, "leiar-1"), "quarantine/kept-1")
    assert _states(office, quarantine) == ["open"]
    assert office.hub(*asked, "it-1").output == "Closed.\n"
    assert _states(office, quarantine) == ["dismissed"]
    assert "person:quarantine:dismissed" in office.all_events()


def test_a_difference_about_a_log_that_is_gone_is_closed_all_the_same(office: Office) -> None:
    """A log that does not open keeps no operator from closing what a count found about it."""
    with office.store() as db, db.write() as tx:
        shred_log(tx, TENANT, LOG_ID)
    assert office.hub("inbox", "close", "difference-1", *WHY, "--who", "it-1").output == "Closed.\n"


@pytest.mark.parametrize("who", ["leiar-1", "rektor-1"])
def test_a_task_is_ticked_off_by_a_leader_of_the_unit_that_was_asked(office: Office, who: str) -> None:
    """The unit where the record lies, or the one that the log belongs to; nobody else."""
    for other in ("it-1", "pvo-1", "haldar-1", "x-1"):
        _refused(office, office.hub("inbox", "done", "task-1", "--who", other), "task/task-1")
    assert _states(office, tasks) == ["open"]
    assert office.hub("inbox", "done", "task-1", "--who", who).output == "Done.\n"
    assert _states(office, tasks) == ["done"]


def test_a_task_about_a_log_that_is_gone_is_ticked_off_by_the_unit_that_was_asked(office: Office) -> None:
    """A log that was deleted here opens no more; its unit is known from the task, and nobody else may."""
    with office.store() as db, db.write() as tx:
        shred_log(tx, TENANT, LOG_ID)
    for other in ("leiar-1", "it-1", "haldar-1"):
        _refused(office, office.hub("inbox", "done", "task-1", "--who", other), "task/task-1")
    assert office.hub("inbox", "done", "task-1", "--who", "rektor-1").output == "Done.\n"


@pytest.mark.parametrize(("named", "about"), [("kept-1", "quarantine"), ("d-1", "delivery")])
def test_what_failed_is_tried_again_by_whoever_runs_the_hub(office: Office, named: str, about: str) -> None:
    """Neither record nor delivery is touched for a leader; an id that nothing waits under is no question of roles."""
    _refused(office, office.hub("inbox", "replay", named, *WHY, "--who", "leiar-1"), f"{about}/{named}")
    assert (_states(office, quarantine), _states(office, deliveries)) == (["open"], ["failed"])
    done = office.hub("inbox", "replay", named, *WHY, "--who", "it-1")
    assert not isinstance(done.exception, NotAllowed)
    assert "person:quarantine:replayed" in office.all_events() or "person:delivery:decided" in office.all_events()
    assert isinstance(office.hub("inbox", "replay", "no-such", *WHY, "--who", "x-1").exception, NotThere)


@pytest.mark.parametrize("which", [("--all",), ("--connection", "box")])
def test_replaying_everything_takes_the_role_in_the_municipality(office: Office, which: tuple[str, ...]) -> None:
    """One refusal, about the municipality, before anything is read."""
    _refused(office, office.hub("inbox", "replay", *which, *WHY, "--who", "pvo-1"), f"tenant/{TENANT}")
    done = office.hub("inbox", "replay", *which, *WHY, "--who", "it-1")
    assert "1 read" in done.output


def test_the_baton_is_offered_by_its_holder_or_that_units_leader(office: Office) -> None:
    """Another holder, another unit's leader and the operator are refused; the offer stands when the holder makes it."""
    asked = ("baton", "offer", LOG_ID, "--to", "p-2", *WHY, "--who")
    for other in ("haldar-2", "rektor-1", "it-1"):
        _refused(office, office.hub(*asked, other), f"log/{LOG_ID}")
    assert "offer " not in office.hub("baton", "show", LOG_ID).output
    assert "The holder stays" in office.hub(*asked, "haldar-1").output
    assert "kindergarten to school" in office.hub("baton", "show", LOG_ID).output


@pytest.mark.parametrize(("given", "who", "others"), [
    ("accept", "haldar-2", ("haldar-1", "leiar-1", "it-1")),
    ("decline", "rektor-1", ()),
    ("withdraw", "haldar-1", ("haldar-2", "rektor-1")),
    ("withdraw", "leiar-1", ()),
])  # fmt: skip
def test_an_answer_is_given_by_whose_it_is(office: Office, given: str, who: str, others: tuple[str, ...]) -> None:
    """Who was offered the baton answers, or the leader of that unit; who offered it withdraws, or that leader."""
    offer = Handover(
        id="h-1",
        from_holder=Actor(name=HOLDER, service=c.Service.KINDERGARTEN),
        to_holder=Actor(name=OTHER, service=c.Service.SCHOOL, unit="Oppdikta skule"),
        offered_on=date(2026, 11, 20),
        answer=c.BatonAnswer.OFFERED,
    )
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    with office.store() as db, db.write() as tx:
        _save(store, tx, worked_log(handovers=(offer,)))
    for other in others:
        _refused(office, office.hub("baton", "answer", LOG_ID, given, *WHY, "--who", other), f"log/{LOG_ID}")
    assert "Written down" in office.hub("baton", "answer", LOG_ID, given, *WHY, "--who", who).output
    assert "person:baton:answered" in office.all_events()
    assert HOLDER not in office.all_events()
