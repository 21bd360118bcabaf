"""What `hub status`, `hub trace` and `hub inbox` say of what is stuck, paused or cannot be read, and what ends it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from hub.commands.inbox import NotThere
from hub.operate.report import Reports
from hub.store.differences import Difference, Differences
from hub.store.inbox import Inbox, NewHold, Refusal
from hub.store.logs import LogStore
from hub.store.sealing import TenantKeys, read_key_file
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    DifferenceKind,
    ProposalKind,
    TaskKind,
    conflicts,
    decisions,
    proposals,
    quarantine,
)
from hub.store.tasks import NewTask, Tasks
from hub.store.work import NewDelivery, WorkStore
from tests.commands.office import BOX_YAML, CONFIG, TENANT, Office, municipality

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOX, FOLDER = f"{TENANT}/box", f"{TENANT}/folder"
WHY = ("--who", "it-1", "--why", "Fila er skriven på nytt.")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality with an archive and a connection, and nothing that waits."""
    (tmp_path / "box").mkdir()
    (tmp_path / "arkiv").mkdir()
    archive = f"folder_is_archive: true\narchive: {{folder: {tmp_path / 'arkiv'}}}\n"
    return municipality(tmp_path, {"tenant.yaml": CONFIG + archive, "connections/box.yaml": BOX_YAML})


def _keys(office: Office) -> TenantKeys:
    return read_key_file(office.folder / "key.json", TENANT)


def _refuse(office: Office, new_id: str = "kept-1", foreign_id: str = "unnamed-1") -> None:
    """Put a file into quarantine that is no record, or put it there again."""
    why = Refusal("payload_syntax", "line 1", "send it whole")
    with office.store() as db, db.write() as tx:
        Inbox(_keys(office), lambda: new_id).put_in_quarantine(tx, BOX, foreign_id, "hash", b"no record", why, NOW)


def _unsent(office: Office, number: int, last: str = "http_422") -> None:
    """Let so many changes fail, an hour between them, the last by another error."""
    work = WorkStore(TENANT, lambda: "work")
    with office.store() as db, db.write() as tx:
        for made in range(number):
            log_id, at = f"log-{made}", NOW + made * timedelta(hours=1)
            logs = LogStore(_keys(office))
            logs.save(tx, logs.new(log_id), at)
            delivery = NewDelivery(f"d-{made:02}", BOX, log_id, DeliveryKind.UPDATE, b"", "", 1)
            work.add_delivery(tx, delivery, at)
            error = last if made == number - 1 else "http_422"
            work.end_delivery(tx, delivery.delivery_id, DeliveryState.FAILED, at, error_class=error)


# --- changes that were not sent ----------------------------------------------------------------------------------


def test_changes_that_failed_are_named_with_their_command(office: Office) -> None:
    """Where nobody knows the outcome a person is asked for it; the others are tried again as they are."""
    _unsent(office, 2, "outcome_unknown")
    said = office.hub("status").output
    assert f"{BOX}: 1 not sent: http_422\n{BOX}: 1 not sent: outcome_unknown\n" in said
    assert "  http_422: hub inbox replay d-00 --who … --why …\n" in said
    assert "  outcome_unknown: hub inbox replay d-01 --sent|--not-sent --who … --why …\n" in said
    assert "more" not in said


def test_of_many_the_oldest_ten_are_named_and_the_rest_counted(office: Office) -> None:
    """However many there are, a connection takes no more lines than that."""
    _unsent(office, 13)
    said = office.hub("status").output
    assert [f"d-{made:02}" in said for made in range(13)] == [True] * 10 + [False] * 3
    assert "  and 3 more, told when these are decided\n" in said


# --- a pause -----------------------------------------------------------------------------------------------------


def test_a_paused_archive_is_told_of_with_who(office: Office) -> None:
    """As of a connection, under the name that `hub resume` takes; when it goes on nothing is said."""
    assert office.hub("pause", FOLDER, "--who", "kari.it").exit_code == 0
    told = f"{FOLDER}: paused by kari.it; `hub resume` lets it go on"
    assert told in office.hub("status").output
    assert office.hub("resume", FOLDER, "--who", "kari.it").exit_code == 0
    assert "paused" not in office.hub("status").output


def test_a_pause_is_traced_in_words(office: Office) -> None:
    """Who paused and who resumed, and no code of an event."""
    office.hub("pause", FOLDER, "--who", "kari.it")
    office.hub("resume", FOLDER, "--who", "ola.it")
    said = office.hub("trace", FOLDER).output
    assert "a person paused it: no call begins until it is resumed (kari.it)" in said
    assert "a person let it go on (ola.it)" in said
    assert "person:connection" not in said


# --- what cannot be read -----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_closed_by_a_person(office: Office) -> None:
    """It is listed no more, nothing is kept of it, who and why are; closed, it is neither closed nor replayed again."""
    _refuse(office)
    shown = office.hub("inbox", "show", "kept-1").output
    assert "hub inbox close kept-1 --who … --why …" in shown
    assert office.hub("inbox", "close", "kept-1", *WHY).output == "Closed.\n"
    assert json.loads(office.hub("inbox", "list", "--json").output) == []
    with office.store() as db, db.read() as tx:
        row, kept = tx.execute(select(quarantine)).one(), tx.execute(select(decisions)).one()
    assert (row.state, row.sealed_record, row.wrapped_key, row.subject_hash) == ("dismissed", None, None, None)
    assert (kept.subject_kind, kept.subject_id, kept.choice) == ("quarantine", "kept-1", "closed")
    assert (kept.decided_by, b"Fila" in kept.sealed_detail) == ("it-1", False)
    assert "a person closed it: what was kept is deleted (it-1)" in office.hub("trace", "kept-1").output
    assert isinstance(office.hub("inbox", "close", "kept-1", *WHY).exception, NotThere)
    assert isinstance(office.hub("inbox", "replay", "kept-1", *WHY).exception, NotThere)


def test_a_file_that_is_refused_again_waits_again(office: Office) -> None:
    """The same entry is open once more, and can be closed once more."""
    _refuse(office)
    office.hub("inbox", "close", "kept-1", *WHY)
    _refuse(office, "never used")
    (item,) = json.loads(office.hub("inbox", "list", "--json").output)
    assert (item["id"], item["reason"]) == ("kept-1", "payload_syntax")
    assert "1 quarantined" in office.hub("inbox", "replay", "kept-1", *WHY).output
    assert office.hub("inbox", "close", "kept-1", *WHY).output == "Closed.\n"


# --- what a command reads ----------------------------------------------------------------------------------------


def _everything(office: Office) -> list[str]:
    """Let one of each kind wait, and five more files in quarantine; give the ids of those of each kind."""
    with office.store() as db, db.write() as tx:
        logs, inbox = LogStore(_keys(office)), Inbox(_keys(office), lambda: "hold-1")
        logs.save(tx, logs.new("log-1"), NOW)
        inbox.add_hold(tx, "log-1", BOX, NewHold("no_consent", "no_consent", "holder", "a consent"), NOW)
        row = {"conflict_id": "conflict-1", "path": "level", "element_id": "", "candidates_hash": "h"}
        at = {"tenant": TENANT, "log_id": "log-1", "first_seen_at": NOW, "state": "open"}
        tx.execute(conflicts.insert().values(**row, **at, sealed_values=b"x"))
        row = {"proposal_id": "proposal-1", "kind": ProposalKind.MATCH, "connection": BOX}
        tx.execute(proposals.insert().values(**row, **at, foreign_id="", collection="", element_id=""))
        found = [Difference(DifferenceKind.NOT_LISTED, "r-2", "log-1")]
        Differences(TENANT, lambda: "difference-1").found(tx, BOX, NOW, found)
        task = NewTask(TaskKind.WITHDRAWN, "consent_withdrawn", "unit_leader", BOX, "school", "skule")
        Tasks(TENANT, lambda: "task-1").set(tx, "log-1", [task], NOW)
    for number in range(6):
        _refuse(office, f"kept-{number}", f"unnamed-{number}")
    return ["hold-1", "conflict-1", "kept-1", "proposal-1", "difference-1", "task-1"]


def test_nothing_sealed_is_read_to_list_or_show(office: Office) -> None:
    """What lies in quarantine may be large: a list takes no bytes of it, and one thing is asked for by its id."""
    ids = _everything(office)
    asked: list[tuple[str, Any]] = []

    def told(*about: Any) -> None:
        asked.append((about[2], about[3]))

    with office.store() as db:
        reports = Reports(db)
        event.listen(Engine, "before_cursor_execute", told)
        try:
            listed = {item.id: item for item in reports.inbox(TENANT)}
            in_list = len(asked)
            shown = [reports.item(TENANT, item_id) for item_id in ids]
            assert reports.item(TENANT, "") is None
        finally:
            event.remove(Engine, "before_cursor_execute", told)
    assert shown == [listed[item_id] for item_id in ids]
    assert len(listed) == len(ids) + 5
    assert [statement for statement, _ in asked if "sealed" in statement or "wrapped_key" in statement] == []
    by_id = [given for statement, given in asked[in_list:] if "FROM quarantine" in statement]
    assert by_id
    assert all(len(given) == 3 for given in by_id), by_id


# --- a hold that stops nothing -----------------------------------------------------------------------------------


def test_releasing_a_log_that_the_receiver_lacks_promises_no_sending(office: Office) -> None:
    """It says that nothing is sent, where another hold says that what is held goes."""
    rules = ("no_record_at_receiver", "first_contact")
    ids = iter(rules)
    with office.store() as db, db.write() as tx:
        logs, inbox = LogStore(_keys(office)), Inbox(_keys(office), lambda: next(ids))
        logs.save(tx, logs.new("log-1"), NOW)
        for rule in rules:
            inbox.add_hold(tx, "log-1", BOX, NewHold(rule, rule, "holder", "somebody has seen to it"), NOW)
    said = office.hub("inbox", "show", "no_record_at_receiver").output
    assert "hub inbox release no_record_at_receiver --who … --why …" in said
    assert "Nothing is sent: the receiver has no log to write in" in said
    assert "what is held goes as it stands now" in office.hub("inbox", "show", "first_contact").output
