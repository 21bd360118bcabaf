"""A dry run tells what a sync would do, and leaves store, systems and data folder as they were."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hub.bootstrap import Hub
from hub.connectors.base import Outgoing, Refused
from hub.connectors.files import Folder, Settings, Template
from hub.operate.settings import HubSettings
from hub.payloads.registry import payload
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import kindergarten_goal_reached
from hub.service.dryrun import PREFIX, forget_left_behind, on_a_copy
from hub.service.sync import sync_now
from hub.store.database import Database, open_database
from hub.store.tables import metadata
from hub.sync.cycle import CycleResult
from tests.proof import left_in, sealed_values
from tests.sync.house import VIGILO, House


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give the data folder of the hub, where nothing lies."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def _synced(house: House, data: Path, *, dry_run: bool) -> CycleResult:
    """Sync all connections as the command does."""
    settings = HubSettings(environment="sandbox", data=data, database=SecretStr(""), log_level="info", tenants=())
    hub = Hub(settings, house.db, {MUNICIPALITY_ORGNR: house.tenant})
    [(tenant, result)] = sync_now(hub, dry_run=dry_run)
    assert tenant is house.tenant
    return result


def _rows(db: Database) -> dict[str, list[str]]:
    with db.read() as tx:
        return {
            table.name: sorted(repr(tuple(row)) for row in tx.execute(select(table)))
            for table in metadata.sorted_tables
        }


def test_it_tells_what_a_sync_then_sends_and_changes_nothing(house: House, data: Path) -> None:
    """On a store with all stories and three changes in a system: the same counts, and before that no trace of it."""
    house.tell_all()
    for number in range(1, 4):
        house.vigilo(number)["niva"] = 3
        house.saved(house.vigilo(number))
    before = _rows(house.db)
    planned = _synced(house, data, dry_run=True)
    assert (_rows(house.db), house.received(), list(data.iterdir())) == (before, [], [])
    synced = _synced(house, data, dry_run=False)
    assert planned.planned == synced.sent != {}
    assert {name: pulled.counts for name, pulled in planned.pulls.items()} == {
        name: pulled.counts for name, pulled in synced.pulls.items()
    }


def test_the_copy_is_sealed_and_its_owners_alone_and_is_gone_after_an_error(house: House, data: Path) -> None:
    """While it lasts it lies in a folder that nobody else may enter; what breaks off inside leaves nothing of it."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    with pytest.raises(ZeroDivisionError), on_a_copy(house.tenant, data) as copied:  # noqa: PT012 - seen inside
        [folder] = data.iterdir()
        assert folder.name.startswith(PREFIX)
        assert folder.stat().st_mode & 0o077 == 0
        assert sealed_values(copied.db) == sealed_values(house.db)
        name = house.log_of("vl-000001").log.subject.name.encode()
        assert not any(left_in(file.read_bytes(), name) for file in folder.iterdir())
        raise ZeroDivisionError
    assert list(data.iterdir()) == []


def test_a_store_that_cannot_be_copied_leaves_nothing(house: House, data: Path, tmp_path: Path) -> None:
    """A store without tables breaks the copying off, and the begun file goes."""
    with (
        closing(open_database(f"sqlite:///{tmp_path / 'empty.db'}")) as db,
        pytest.raises(OperationalError),
        on_a_copy(replace(house.tenant, db=db), data),
    ):
        pass
    assert list(data.iterdir()) == []


def test_what_a_killed_one_left_is_gone_after_a_day(data: Path) -> None:
    """A copy is removed when nobody can be at it any more; a younger one, and what else lies there, stays."""
    made = datetime.now(UTC)
    for name in (f"{PREFIX}x", "archive"):
        (data / name).mkdir()
    (data / f"{PREFIX}x" / "copy.db").touch()
    forget_left_behind(data, made + timedelta(hours=20))
    assert len(list(data.iterdir())) == 2
    forget_left_behind(data, made + timedelta(hours=25))
    assert [each.name for each in data.iterdir()] == ["archive"]


def test_nothing_can_be_sent(house: House, data: Path) -> None:
    """A system is read as ever, and a change to it is refused before it leaves; nothing is there that makes plans."""
    house.tell(kindergarten_goal_reached)
    with on_a_copy(house.tenant, data) as copied:
        connection = copied.connections[VIGILO]
        assert [record.id for page in connection.connector.pages() for record in page.records] == ["vl-000001"]
        record = connection.connector.fetch("vl-000001")
        with pytest.raises(Refused, match="a dry run sends nothing"):
            connection.connector.update(Outgoing(record, record.tree, "key-1"))
        assert [each.plans for each in copied.connections.values()] == [None, None]
    assert house.detours[VIGILO].sent == []


def test_a_file_that_was_read_stays_for_the_next_sync(house: House, data: Path, tmp_path: Path) -> None:
    """What a dry run stored of a file is thrown away, so that the file itself is not moved; a sync then moves it."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    template = Template(payload("json", {}), lambda _: "")
    connector = Folder(Settings(folder=folder, suffix=".json"), template, house.time.clock())
    connector.check()
    file = folder / "in" / "log.json"
    file.write_text("no JSON", encoding="ascii")
    os.utime(file, (0, 0))  # it has lain there for long, so that it counts as whole
    house.settle(VIGILO, connector=connector)
    assert _synced(house, data, dry_run=True).pulls[VIGILO].counts["quarantined"] == 1
    assert file.exists()
    assert _synced(house, data, dry_run=False).pulls[VIGILO].counts["quarantined"] == 1
    assert not file.exists()
