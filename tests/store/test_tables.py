"""What lies in clear, in which types, and what the constraints refuse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import DateTime, insert, make_url, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.schema import CreateIndex, CreateTable

from hub.store.database import Database
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    HoldState,
    RunState,
    Utc,
    deliveries,
    holds,
    logs,
    metadata,
    proposals,
    records,
    runs,
)

TENANT = "100000008"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

_POSTGRESQL = make_url("postgresql://").get_dialect()()

IN_CLEAR = {
    "log_keys": "tenant log_id key_version created_at",
    "logs": "tenant log_id status level owning_unit_id opened_on closed_on last_activity_at next_deadline"
    " consent_expires_on counts version routed_version content_hash subject_hash updated_at",
    "records": "tenant connection foreign_id log_id foreign_version change_hash mapping mapping_version"
    " first_seen_at last_seen_at seen_in_run missing_since",
    "element_keys": "tenant connection log_id collection element_id foreign_key",
    "cursors": "tenant connection value updated_at",
    "runs": "tenant connection attempts due_at lease_owner lease_until fence error_class run_id occurrence planned_at"
    " why state cursor_before cursor_after counts outcome queued_at started_at ended_at",
    "deliveries": "tenant connection attempts due_at lease_owner lease_until fence error_class delivery_id log_id kind"
    " state idempotency_key view_hash log_version mapping mapping_version receipt_ref created_at sent_at done_at",
    "quarantine": "quarantine_id tenant connection foreign_id reason place rule first_seen_at last_seen_at attempts"
    " change_hash subject_hash key_version state replay_run",
    "conflicts": "conflict_id tenant log_id path element_id candidates_hash state first_seen_at settled_at settled_by",
    "holds": "hold_id tenant log_id connection rule reason revealing addressed_to releases_when since situation_hash"
    " state released_by released_at",
    "proposals": "proposal_id tenant kind connection log_id foreign_id collection element_id subject_hash key_version"
    " state first_seen_at decided_by decided_at",
    "decisions": "decision_id tenant log_id subject_kind subject_id choice in_force decided_by decided_at key_version",
    "differences": "difference_id tenant connection kind subject log_id state first_seen_at last_seen_at closed_at"
    " closed_by",
    "tasks": "task_id tenant log_id kind reason connection reader unit_id revealing addressed_to since state done_by"
    " done_at",
    "rights_cases": "case_id tenant log_id kind state asked_by asked_on due_on extended_by extended_at opened_by"
    " opened_at decision basis decided_by decided_at done_by done_at",
    "packages": "package_id tenant log_id revision external_key content_hash mapping_versions created_at",
    "archived": "tenant log_id revision target delivery_id receipt_ref archived_at",
    "connection_state": "tenant connection paused paused_by paused_at parked_until parked_reason breaker_state"
    " breaker_until failures next_free_at last_success_at",
    "mapping_versions": "tenant mapping version content_hash files frozen_at frozen_by active activated_at"
    " activated_by",
    "events": "event_id tenant at action subject_kind subject_id actor data position previous_hash hash",
}


def test_only_the_listed_columns_lie_in_clear() -> None:
    """Whoever adds a column in clear has to add it to the list above, and to think."""
    found = {
        table.name: {c.name for c in table.c if not c.name.startswith(("sealed_", "wrapped_"))}
        for table in metadata.sorted_tables
    }
    assert found == {name: set(columns.split()) for name, columns in IN_CLEAR.items()}


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_says_what_it_holds_and_whose_it_is(table: object) -> None:
    """Every column has a comment, every row a tenant, and every instant the type that refuses naive times."""
    columns = metadata.tables[str(table)].c
    assert all(column.comment for column in columns)
    assert not columns.tenant.nullable
    assert [column.name for column in columns if isinstance(column.type, DateTime)] == []


def test_every_table_can_be_made_on_postgresql() -> None:
    """No table or index uses what only SQLite understands."""
    dialect = _POSTGRESQL
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    made += [str(CreateIndex(i).compile(dialect=dialect)) for t in metadata.sorted_tables for i in t.indexes]
    assert "TIMESTAMP WITH TIME ZONE" in "".join(made)
    assert max(len(str(i.name)) for t in metadata.sorted_tables for i in t.indexes) < 64


def test_instants_come_back_in_utc(db: Database) -> None:
    """A time of any zone goes in and the same instant comes out in UTC, to the microsecond."""
    there = datetime(2026, 11, 2, 9, 0, 0, 123, tzinfo=timezone(timedelta(hours=1)))
    with db.write() as tx:
        tx.execute(insert(logs).values(_log("l1", updated_at=there)))
    with db.read() as tx:
        back = tx.execute(select(logs.c.updated_at, logs.c.opened_on)).one()
    assert (back.updated_at, back.updated_at.tzinfo) == (there, UTC)
    assert back.opened_on == date(2026, 8, 17)


def test_a_naive_instant_is_refused() -> None:
    """A time without zone never reaches the database."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="without zone"):
        Utc().process_bind_param(naive, _POSTGRESQL)


def test_codes_come_back_as_their_type(db: Database) -> None:
    """A state is written as member or text, read as member, and an unknown one is refused."""
    with db.write() as tx:
        tx.execute(insert(runs).values(_run("r1", state="held")))
        assert tx.scalar(select(runs.c.state)) is RunState.HELD
        with pytest.raises(StatementError):
            tx.execute(insert(runs).values(_run("r2", state="asleep")))


def test_a_connection_has_one_running_run(db: Database) -> None:
    """Two runs of one connection cannot run at once, whatever claims them."""
    with db.write() as tx:
        tx.execute(insert(runs), [_run("r1", state="running"), _run("r2")])
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(runs.update().values(state="running"))


def test_a_log_has_one_open_delivery_of_a_kind_per_connection(db: Database) -> None:
    """A second open delivery is refused; a finished one and one of the other kind are no hindrance."""
    with db.write() as tx:
        tx.execute(insert(logs).values(_log("l1")))
        tx.execute(
            insert(deliveries),
            [
                _delivery("d1", state=DeliveryState.DONE),
                _delivery("d2", state=DeliveryState.UNKNOWN),
                _delivery("d3", kind=DeliveryKind.ARCHIVE, state=DeliveryState.READY),
            ],
        )
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(insert(deliveries).values(_delivery("d4", state=DeliveryState.READY)))


@pytest.mark.parametrize(
    ("log_id", "connection"), [("l1", f"{TENANT}/vigilo"), ("l1", None), (None, f"{TENANT}/vigilo")]
)
def test_an_open_hold_stands_once(db: Database, log_id: str | None, connection: str | None) -> None:
    """The same open hold twice is one, also where it names no log or no connection; a released one may come again."""
    hold = {"tenant": TENANT, "rule": "consent", "reason": "no_consent", "addressed_to": "holder", "since": NOW}
    again = hold | {"log_id": log_id, "connection": connection}
    with db.write() as tx:
        tx.execute(insert(holds).values(hold_id="h1", state=HoldState.RELEASED, **again))
        tx.execute(insert(holds).values(hold_id="h2", **again))
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(insert(holds).values(hold_id="h3", **again))


@pytest.mark.parametrize("log_id", ["l1", None])
def test_a_proposal_stands_once(db: Database, log_id: str | None) -> None:
    """The same proposal twice is one, with and without a log."""
    row = {"tenant": TENANT, "kind": "match", "connection": f"{TENANT}/vigilo", "log_id": log_id, "foreign_id": "77"}
    with db.write() as tx:
        tx.execute(insert(proposals).values(proposal_id="p1", first_seen_at=NOW, **row))
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(insert(proposals).values(proposal_id="p2", first_seen_at=NOW, **row))


def test_references_are_checked_when_the_transaction_ends(db: Database) -> None:
    """A page may write a record before its log; a record whose log never comes is refused."""
    record = {"tenant": TENANT, "connection": f"{TENANT}/vigilo", "first_seen_at": NOW, "last_seen_at": NOW}
    with db.write() as tx:
        tx.execute(insert(records).values(foreign_id="1", log_id="l1", **record))
        tx.execute(insert(logs).values(_log("l1")))
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(insert(records).values(foreign_id="2", log_id="l2", **record))


def _log(log_id: str, *, updated_at: datetime = NOW) -> Mapping[str, object]:
    opened = date(2026, 8, 17)
    return {"tenant": TENANT, "log_id": log_id, "status": "active", "opened_on": opened, "updated_at": updated_at}


def _run(run_id: str, *, state: str = "queued") -> dict[str, object]:
    times: dict[str, object] = {"planned_at": NOW, "due_at": NOW, "queued_at": NOW}
    row = {"run_id": run_id, "tenant": TENANT, "connection": f"{TENANT}/vigilo", "occurrence": run_id}
    return row | times | {"why": "schedule", "state": state}


def _delivery(delivery_id: str, *, state: DeliveryState, kind: DeliveryKind = DeliveryKind.UPDATE) -> dict[str, object]:
    row = {"delivery_id": delivery_id, "tenant": TENANT, "connection": f"{TENANT}/vigilo", "log_id": "l1"}
    times = {"due_at": NOW, "created_at": NOW}
    return row | times | {"kind": kind, "state": state, "idempotency_key": delivery_id, "log_version": 1}
