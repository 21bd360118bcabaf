"""Backups: whole, consistent, closed to all but one key, and never a way back for what was shredded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from hub.relaylog.codes import LogStatus
from hub.relaylog.model import RelayLog, Subject
from hub.store.backup import BackupFailed, back_up, new_key_pair, private_key, public_key, restore
from hub.store.database import Database, open_database
from hub.store.events import Action, append, chain, verify
from hub.store.inbox import Inbox, Refusal
from hub.store.logs import LogStore
from hub.store.sealing import Shredded, TenantKeys
from hub.store.tables import events, log_keys, metadata
from hub.store.wipe import Shredding, ShredList
from hub.store.work import WorkStore

TENANT = "100000008"  # made up
NOW = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Database]:
    """Give an empty SQLite database that nobody has migrated."""
    db = open_database(f"sqlite:///{tmp_path / 'target.db'}")
    yield db
    db.close()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Give a private and a public key."""
    new_key_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    return tmp_path / "private.pem", tmp_path / "public.pem"


def _fill(db: Database, keys: TenantKeys, number: int = 300) -> None:
    """Store logs, a run, a quarantined record and a chain of events: rows of every type of column."""
    store, inbox = LogStore(keys), Inbox(keys, lambda: "q1")
    with db.write() as tx:
        made = [store.new(f"l{each}") for each in range(number)]
        named = Subject(name="Solskinn Testbarn")
        opened = [replace(each, log=RelayLog(id=each.log_id, subject=named, opened_on=NOW.date())) for each in made]
        store.save_all(tx, opened, NOW)
        inbox.put_in_quarantine(tx, "c", "f", "h" * 64, b"held", Refusal("r", "/", "x"), NOW)
        WorkStore(TENANT, lambda: "r1").queue_run(tx, "c", "o", "schedule", NOW, NOW)
    chain(db, TENANT)


def _rows(db: Database) -> dict[str, list[tuple[object, ...]]]:
    with db.read() as tx:
        return {t.name: [tuple(row) for row in tx.execute(select(t).order_by(*t.primary_key))] for t in _TABLES}


_TABLES = metadata.sorted_tables


def test_what_is_restored_is_what_was_there(
    db: Database, keys: TenantKeys, target: Database, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """From either database: every row is the same, bodies open, the chain holds, and events are counted on."""
    _fill(db, keys)
    counts = back_up(db, tmp_path / "b", public_key(pair[1]), NOW)
    found = restore(tmp_path / "b", private_key(pair[0]), target, ShredList(tmp_path / "shredded"))
    assert _rows(target) == _rows(db)
    assert (found.made_at, found.rows, found.shredded) == (NOW, counts, 0)
    assert counts["logs"] == 300
    assert verify(target, TENANT) == []
    with target.write() as tx:
        assert LogStore(keys).load(tx, "l7").log.subject.name == "Solskinn Testbarn"
        last = max(tx.scalars(select(events.c.event_id)))
        append(tx, TENANT, Action.RUN_ENDED, "run", "r1", "hub", NOW)
        assert max(tx.scalars(select(events.c.event_id))) == last + 1


def test_a_backup_goes_back_to_either_database(
    url: str, path_of_backup: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A backup of SQLite is read into SQLite and PostgreSQL alike, and the next event has the next number."""
    db = open_database(url)
    restore(path_of_backup, private_key(pair[0]), db, ShredList(tmp_path / "shredded"))
    with db.write() as tx:
        last = max(tx.scalars(select(events.c.event_id)))
        append(tx, TENANT, Action.RUN_ENDED, "run", "r1", "hub", NOW)
        assert max(tx.scalars(select(events.c.event_id))) == last + 1
    db.close()


@pytest.fixture
def path_of_backup(tmp_path: Path, migrated: Path, keys: TenantKeys, pair: tuple[Path, Path]) -> Path:
    """Give a backup of a small SQLite store."""
    file = tmp_path / "small.db"
    file.write_bytes(migrated.read_bytes())
    db = open_database(f"sqlite:///{file}")
    _fill(db, keys, 3)
    back_up(db, tmp_path / "small.backup", public_key(pair[1]), NOW)
    db.close()
    return tmp_path / "small.backup"


def test_a_backup_shows_nothing(path_of_backup: Path, key_file: Path) -> None:
    """Neither a table's name, an organisation number, nor a key stands in the file, and its owner alone can read it."""
    content = path_of_backup.read_bytes()
    for word in (b"log_keys", TENANT.encode(), b"Solskinn", *key_file.read_bytes().split(b'"')[1:]):
        assert len(word) < 5 or word not in content
    assert path_of_backup.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["cut", "changed", "longer", "other key", "head", "short"])
def test_a_backup_that_is_not_whole_restores_nothing(
    path_of_backup: Path, target: Database, pair: tuple[Path, Path], tmp_path: Path, damage: str
) -> None:
    """Cut off, changed, added to, or opened by another key: it is said, and the database stays empty."""
    content, key = path_of_backup.read_bytes(), private_key(pair[0])
    if damage == "other key":
        new_key_pair(tmp_path / "p2", tmp_path / "p3")
        key = private_key(tmp_path / "p2")
    damaged = {
        "cut": content[:-1],
        "changed": content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
        "longer": content + b"x",
        "head": b"x" + content,
        "short": content[:40],
    }
    path_of_backup.write_bytes(damaged.get(damage, content))
    with pytest.raises(BackupFailed, match="backup"):
        restore(path_of_backup, key, target, ShredList(tmp_path / "shredded"))
    assert not any(_rows(target).values())


def test_whole_chunks_cannot_be_cut_off(
    db: Database, keys: TenantKeys, target: Database, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A file that ends where a chunk ends is known to be too short."""
    _fill(db, keys)
    back_up(db, tmp_path / "b", public_key(pair[1]), NOW)
    head, chunk = len(b"stafetthub backup 1\n") + 32, 64 * 1024 + 16
    content = (tmp_path / "b").read_bytes()
    assert len(content) > head + chunk
    (tmp_path / "b").write_bytes(content[: head + chunk])
    with pytest.raises(BackupFailed, match="at chunk 1: it is cut off"):
        restore(tmp_path / "b", private_key(pair[0]), target, ShredList(tmp_path / "shredded"))


def test_a_database_with_rows_is_no_target(
    db: Database, keys: TenantKeys, path_of_backup: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Nothing is ever written over."""
    _fill(db, keys, 1)
    before = _rows(db)
    with pytest.raises(BackupFailed, match=r"such as in \w+\. Give an empty one"):
        restore(path_of_backup, private_key(pair[0]), db, ShredList(tmp_path / "shredded"))
    assert _rows(db) == before


def test_what_was_shredded_since_stays_shredded(
    path_of_backup: Path, target: Database, keys: TenantKeys, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A log that the list names comes back without key and text; its wrapped key is not in the new file either."""
    listed = ShredList(tmp_path / "shredded")
    listed.add(Shredding(TENANT, "l1", NOW, LogStatus.ARCHIVED))
    source = open_database(f"sqlite:///{tmp_path / 'small.db'}")
    with source.read() as tx:
        wrapped = tx.scalar(select(log_keys.c.wrapped_key).where(log_keys.c.log_id == "l1")) or b""
    source.close()
    assert restore(path_of_backup, private_key(pair[0]), target, listed).shredded == 1
    with target.read() as tx:
        with pytest.raises(Shredded):
            LogStore(keys).load(tx, "l1")
        assert LogStore(keys).load(tx, "l2").log.subject.name
    assert wrapped
    assert wrapped not in b"".join(file.read_bytes() for file in tmp_path.glob("target.db*"))


def test_what_is_written_meanwhile_is_in_it_whole_or_not_at_all(
    db: Database, keys: TenantKeys, pair: tuple[Path, Path], tmp_path: Path, target: Database
) -> None:
    """A backup sees one state: a transaction that commits after it began is left out of all tables."""
    _fill(db, keys, 2)
    with db.read() as tx:
        before = len(tx.execute(select(events)).all())
        with db.write() as other:
            key = {"wrapped_key": b"k", "key_version": 1, "created_at": NOW}
            other.execute(insert(log_keys).values(tenant=TENANT, log_id="l9", **key))
            append(other, TENANT, Action.RUN_ENDED, "run", "r1", "hub", NOW)
        assert len(tx.execute(select(events)).all()) == before
        assert len(tx.execute(select(log_keys)).all()) == 2
    back_up(db, tmp_path / "b", public_key(pair[1]), NOW)
    restored = restore(tmp_path / "b", private_key(pair[0]), target, ShredList(tmp_path / "shredded"))
    assert (restored.rows["log_keys"], restored.rows["events"]) == (3, before + 1)


def test_an_older_backup_is_told_so(
    path_of_backup: Path, target: Database, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A backup is never written over another, and a key of another kind is told as such."""
    with pytest.raises(BackupFailed, match="there is a file already"):
        back_up(target, path_of_backup, public_key(pair[1]), NOW)
    for read in (public_key, private_key):
        with pytest.raises(BackupFailed, match="key for backups"):
            read(path_of_backup)
    with pytest.raises(BackupFailed, match="cannot be read"):
        restore(tmp_path / "none", private_key(pair[0]), target, ShredList(tmp_path / "shredded"))


def test_keys_made_by_openssl_are_taken(tmp_path: Path) -> None:
    """The pair is the plain PEM that other tools make and read."""
    made, out = tmp_path / "k.pem", tmp_path / "k.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-out", made], check=True, capture_output=True)  # noqa: S607
    subprocess.run(["openssl", "pkey", "-in", made, "-pubout", "-out", out], check=True, capture_output=True)  # noqa: S607
    assert private_key(made).public_key().public_bytes_raw() == public_key(out).public_bytes_raw()
