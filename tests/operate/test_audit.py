"""No event can be changed, taken out, moved or cut off without being found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, update

from hub.operate.audit import HeadBroken, Heads, Verdict, chain_all, verdict
from hub.store.database import Database, open_database
from hub.store.events import Action, Head, append
from hub.store.tables import events

TENANT = "100000008"  # made up
OTHER = "200000005"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
TODAY = date(2026, 11, 2)
COUNT = 12


def _append(tx: Connection, number: int, tenant: str = TENANT) -> None:
    at = NOW + timedelta(seconds=number)
    append(tx, tenant, Action.RECORD_ADMITTED, "log", f"l{number}", "hub", at, number=number)


@pytest.fixture(scope="module")
def trail(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with a dozen chained events, and the head of the day beside it."""
    folder = tmp_path_factory.mktemp("trail")
    shutil.copy(migrated, folder / "hub.db")
    with closing(open_database(f"sqlite:///{folder / 'hub.db'}")) as db:
        with db.write() as tx:
            for number in range(COUNT):
                _append(tx, number)
        chain_all(db, [TENANT], Heads(folder / "heads"), TODAY)
    return folder


def _change(tx: Connection, place: int, other: int) -> None:
    tx.execute(update(events).where(events.c.position == place).values(subject_id=f"x{other}"))


def _remove(tx: Connection, place: int, _other: int) -> None:
    tx.execute(delete(events).where(events.c.position == place))


def _cut(tx: Connection, place: int, _other: int) -> None:
    tx.execute(delete(events).where(events.c.position >= place))


def _swap(tx: Connection, place: int, other: int) -> None:
    """Let two events change places."""
    other = other if other != place else place % COUNT + 1
    for old, new in ((place, 99), (other, place), (99, other)):
        tx.execute(update(events).where(events.c.position == old).values(position=new))


def _swap_and_mend(tx: Connection, place: int, other: int) -> None:
    """Let two events change places, each with the hashes of the place that it comes to."""
    other = other if other != place else place % COUNT + 1
    hashes = {
        row.position: {"previous_hash": row.previous_hash, "hash": row.hash} for row in tx.execute(select(events))
    }
    _swap(tx, place, other)
    for position in (place, other):
        tx.execute(update(events).where(events.c.position == position).values(**hashes[position]))


def _chain_anew(tx: Connection, place: int, other: int) -> None:
    """Change an event and have all of it chained as if nothing had been."""
    _change(tx, place, other)
    tx.execute(update(events).values(position=None, hash=None, previous_hash=None))


TAMPERING: list[Callable[[Connection, int, int], None]] = [_change, _remove, _cut, _swap, _swap_and_mend, _chain_anew]


@settings(max_examples=60, deadline=None)
@example(_change, COUNT, 1)  # the event that the head itself is of
@example(_swap_and_mend, COUNT, 1)
@given(st.sampled_from(TAMPERING), st.integers(1, COUNT), st.integers(1, COUNT))
def test_whatever_is_done_to_an_event_is_found(
    trail: Path, tamper: Callable[[Connection, int, int], None], place: int, other: int
) -> None:
    """Any event, and any of six ways to tamper with it, is found by the head of the day and the chain itself."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "hub.db"
        shutil.copy(trail / "hub.db", copy)
        heads = Heads(trail / "heads")
        with closing(open_database(f"sqlite:///{copy}")) as db:
            assert verdict(db, TENANT, heads) == Verdict(TENANT, (), 1)
            with db.write() as tx:
                tamper(tx, place, other)
            if tamper is _chain_anew:
                chain_all(db, [TENANT], Heads(Path(folder) / "heads"), TODAY)
            assert verdict(db, TENANT, heads).problems


def test_each_day_keeps_one_head_and_each_tenant_its_own(db: Database, tmp_path: Path) -> None:
    """The first chaining of a day writes the head, later ones leave it; a tenant without events has none."""
    heads = Heads(tmp_path / "heads")
    with db.write() as tx:
        _append(tx, 1)
    chain_all(db, [TENANT, OTHER], heads, TODAY)
    with db.write() as tx:
        _append(tx, 2)
    chain_all(db, [TENANT, OTHER], heads, TODAY)
    chain_all(db, [TENANT, OTHER], heads, TODAY + timedelta(days=1))
    assert [head.position for head in heads.kept(TENANT)] == [1, 2]
    assert heads.kept(OTHER) == []
    assert sorted(path.name for path in (tmp_path / "heads" / TENANT).iterdir()) == [
        "2026-11-02.json",
        "2026-11-03.json",
    ]


def test_another_tenants_head_or_a_broken_one_is_told(tmp_path: Path) -> None:
    """A file that is no head of this tenant is named, so that nobody takes its absence for a whole chain."""
    heads = Heads(tmp_path)
    heads.keep(TENANT, TODAY, Head(1, "0" * 64))
    shutil.copytree(tmp_path / TENANT, tmp_path / OTHER)
    with pytest.raises(HeadBroken, match=f"not the head of a day of {OTHER}"):
        heads.kept(OTHER)
    (tmp_path / TENANT / "2026-11-02.json").write_text("{}", encoding="utf-8")
    with pytest.raises(HeadBroken, match=r"2026-11-02\.json"):
        heads.kept(TENANT)
