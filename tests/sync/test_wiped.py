"""A wiped log and everyday sync live side by side: its system still lists it, and nothing comes back by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, update

from hub.bootstrap import Hub
from hub.engine.occurrences import plan
from hub.engine.port import Task
from hub.operate.settings import HubSettings, TenantSettings
from hub.operate.words import in_words
from hub.sandbox.municipality import MUNICIPALITY_NAME, MUNICIPALITY_ORGNR
from hub.sandbox.stories import kindergarten_goal_reached, ordinary_kindergarten
from hub.service.schedule import NIGHTLY_WIPE, timings, upkeep
from hub.service.wipe import WIPE
from hub.store.tables import TaskKind, TaskState, archived, events, log_keys, logs, packages, records, runs, tasks
from hub.store.wipe import SHREDDED, ShredList
from hub.sync.rows import SyncRows, upkeep_of
from hub.sync.wipe import Keeper
from tests.proof import bytes_on_disk, left_in, rows_about, sealed_values
from tests.sync.house import House

TERM = timedelta(days=90)


@pytest.fixture
def wiped(house: House, tmp_path: Path) -> str:
    """Archive a closed log beside an open one, let the term pass, and wipe what is due; give its id."""
    house.tell(kindergarten_goal_reached, ordinary_kindergarten)
    house.sync()
    house.time.at += TERM
    keeper = Keeper(house.tenant, ShredList(tmp_path / "shredded"), "hub")
    (due,) = keeper.due(TERM)
    assert keeper.wipe(due)
    return due


def _counts(house: House) -> tuple[int, int, int]:
    with house.db.read() as tx:
        tables = (logs, log_keys, archived)
        one, two, three = (tx.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
    return one, two, three


def test_a_record_that_is_as_it_was_does_not_bring_its_log_back(house: House, wiped: str) -> None:
    """Days of sync later there is no new log and no new package, and every run went well."""
    before = _counts(house)
    for _ in range(2):
        house.time.after(days=1)
        result = house.sync()
        assert not any(pulled.error for pulled in result.pulls.values())
    assert _counts(house) == before
    with house.db.read() as tx:
        assert tx.scalar(select(logs.c.status).where(logs.c.log_id == wiped)) == "archived"


def test_a_record_that_changes_is_a_log_of_its_own(house: House, wiped: str) -> None:
    """When a system changes what was wiped, it is taken in as new: the old log stays as it was left."""
    record = next(each for name, each in house.world.vigilo.items() if name in _of_none(house))
    record["niva"] = 3
    house.saved(record)
    house.sync()
    assert _of_none(house) == set()
    with house.db.read() as tx:
        assert tx.scalar(select(logs.c.sealed_body).where(logs.c.log_id == wiped)) is None


def _of_none(house: House) -> set[str]:
    """Return the records that belong to no log."""
    with house.db.read() as tx:
        return set(tx.scalars(select(records.c.foreign_id).where(records.c.log_id.is_(None))))


# --- the nightly wipe ------------------------------------------------------------------------------------------------

NIGHT = datetime(2027, 2, 20, 4, 0, tzinfo=UTC)  # five in the morning in Norway
NAME = upkeep_of(MUNICIPALITY_ORGNR, WIPE)


@pytest.fixture
def hub(house: House, tmp_path: Path) -> Hub:
    """Give the hub of a municipality that keeps archived logs for the term, in the night after it."""
    house.tell(kindergarten_goal_reached, ordinary_kindergarten)
    house.sync()
    house.time.at = NIGHT
    municipality = TenantSettings(
        connections=(),
        rules=(),
        name=MUNICIPALITY_NAME,
        organisation_number=MUNICIPALITY_ORGNR,
        language="nn",
        controller=MUNICIPALITY_NAME,
        key_file=tmp_path / "key.json",
        wipe_after=TERM,
    )
    settings = HubSettings(
        environment="sandbox", data=tmp_path, database=SecretStr(""), log_level="info", tenants=(municipality,)
    )
    return Hub(settings, house.db, {MUNICIPALITY_ORGNR: house.tenant})


@pytest.fixture
def rows(hub: Hub) -> SyncRows:
    """Give its rows, as an engine has them."""
    return SyncRows(hub.db, hub.tenants, "worker-1", upkeep(hub))


def _book(rows: SyncRows) -> list[Task]:
    return list(rows.book(NAME, plan(NAME, NIGHTLY_WIPE, NIGHT - timedelta(days=1), NIGHT, busy=rows.busy(NAME))))


def _wipe(rows: SyncRows) -> None:
    for task in _book(rows):
        rows.work(task, Event())


def _task_about(house: House, log_id: str) -> None:
    """Leave a task that a routing once set."""
    words = {"connection": "", "reader": "", "reason": "no_accepted_holder", "addressed_to": "unit_leader"}
    row = {"task_id": "t1", "tenant": MUNICIPALITY_ORGNR, "log_id": log_id, "unit_id": "", "revealing": False, **words}
    with house.db.write() as tx:
        tx.execute(insert(tasks).values(kind=TaskKind.LIFE, state=TaskState.OPEN, since=NIGHT, **row))


def test_each_municipality_has_a_nightly_wipe(hub: Hub) -> None:
    """It stands among the schedules that the engine is given, whatever connections there are."""
    assert timings(hub)[NAME] == NIGHTLY_WIPE


def test_the_nightly_wipe_runs_once_an_occurrence(house: House, rows: SyncRows) -> None:
    """Booked again it is no second run; row and event tell what it did, and the next is counted from there."""
    (task,) = _book(rows)
    assert _book(rows) == []
    rows.work(task, Event())
    rows.work(task, Event())
    (row,) = house.rows(runs, why=WIPE)
    assert (row.connection, row.state, row.outcome) == (MUNICIPALITY_ORGNR, "done", "done")
    assert row.counts == {"archived": 1, "not_kept": 0, "damaged": 0}
    told = [event.data for event in house.rows(events, subject_id=row.run_id, action="hub:run:ended")]
    assert told == [{"outcome": "done", **row.counts}]
    said = [in_words(event.action, {**event.data, "connection": row.connection}) for event in house.rows(events)]
    assert f"the run of {MUNICIPALITY_ORGNR} is done: archived 1, not_kept 0, damaged 0" in said
    assert rows.planned_until(NAME) == NIGHT


def test_after_the_nightly_wipe_neither_query_nor_file_has_anything_of_the_log(
    house: House, rows: SyncRows, tmp_path: Path, path: Path
) -> None:
    """No table has a sealed value, a key or a task of it, and no byte of them is in the file or its log beside it."""
    due = house.log_of("vl-000001").log_id
    _task_about(house, due)
    before = set(sealed_values(house.db))
    _wipe(rows)
    kept = set(sealed_values(house.db))
    gone = before - kept
    assert len(gone) >= 4
    assert rows_about(house.db, due) == {"logs": 1, "deliveries": 1, "packages": 1, "archived": 1}
    on_disk = bytes_on_disk(path)
    assert not any(left_in(on_disk, value) for value in gone)
    assert all(left_in(on_disk, value) for value in kept)
    assert [each.log_id for each in ShredList(tmp_path / SHREDDED).read()] == [due]


def test_a_wipe_that_is_told_to_stop_goes_on_where_it_was(house: House, rows: SyncRows) -> None:
    """It ends after the log that it is at, is due again at once, and the next worker finishes it under the same row."""
    (task,) = _book(rows)
    stopping = Event()
    stopping.set()
    rows.work(task, stopping)
    (row,) = house.rows(runs, why=WIPE)
    assert (row.state, row.counts["archived"]) == ("queued", 1)
    rows.work(task, Event())
    (row,) = house.rows(runs, why=WIPE)
    assert (row.state, row.counts["archived"]) == ("done", 1)


def test_a_log_that_does_not_open_is_told_and_stops_no_other(house: House, rows: SyncRows) -> None:
    """The damaged log stays for a person, the run says that it is not whole, and the other log is wiped."""
    house.tell(kindergarten_goal_reached)
    house.time.at = NIGHT - TERM
    house.sync()
    house.time.at = NIGHT
    damaged = house.log_of("vl-000003").log_id
    with house.db.write() as tx:
        tx.execute(update(logs).where(logs.c.log_id == damaged).values(sealed_body=b"\x01 damaged, and no body"))
    _wipe(rows)
    (row,) = house.rows(runs, why=WIPE)
    assert (row.state, row.outcome) == ("failed", "not_whole")
    assert (row.counts["archived"], row.counts["damaged"]) == (1, 1)
    assert len(house.rows(log_keys, log_id=damaged)) == 1


def test_a_list_that_cannot_be_written_puts_the_wipe_off(house: House, rows: SyncRows, tmp_path: Path) -> None:
    """Nothing is shredded that a restored backup would bring back; the run is due again after a pause."""
    (tmp_path / SHREDDED).touch()
    _wipe(rows)
    (row,) = house.rows(runs, why=WIPE)
    assert (row.state, row.error_class) == ("queued", "store_unavailable")
    assert row.due_at > NIGHT
    assert len(house.rows(packages)) == 1
    assert _counts(house)[1] == 2
