"""A wiped log and everyday sync live side by side: its system still lists it, and nothing comes back by itself."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.operate.keep import Keeper
from hub.sandbox.stories import kindergarten_goal_reached, ordinary_kindergarten
from hub.store.tables import archived, log_keys, logs, records
from hub.store.wipe import ShredList
from hub.sync.archive import content_hash
from tests.sync.house import ARCHIVE, House

TERM = timedelta(days=90)


@pytest.fixture
def wiped(house: House, tmp_path: Path) -> str:
    """Archive a closed log beside an open one, let the term pass, and wipe what is due; give its id."""
    house.tell(kindergarten_goal_reached, ordinary_kindergarten)
    house.sync()
    house.time.at += TERM
    tenant = house.tenant
    keeper = Keeper(house.db, tenant.logs, tenant.work, ShredList(tmp_path / "shredded"), "hub")
    (due,) = keeper.due([ARCHIVE], TERM, tenant.now())
    assert keeper.wipe(due, partial(content_hash, tenant), tenant.now())
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
