"""A tenant's key is changed without touching what is sealed, and one tenant never opens another's."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from hub.store.database import Database
from hub.store.decisions import Choice, NewDecision, Who, keep
from hub.store.rotation import WRAPPED, RotationRefused, add_version, in_use, retire, rewrap, rotate
from hub.store.sealing import (
    KeyFile,
    KeyFileError,
    SealBroken,
    Sealer,
    TenantKeys,
    log_sealers,
    new_key_file,
    read_key_file,
    store_log_keys,
)
from hub.store.tables import decisions, log_keys, logs, metadata, proposals, quarantine

TENANT = "100000008"  # made up
OTHER = "200000005"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
BODY = "logs.sealed_body"


def _fill(tx: Connection, keys: TenantKeys, number: int) -> dict[str, bytes]:
    """Store so many logs with bodies, and one of each row that has a key of its own."""
    made = {f"l{each}": keys.new_key(f"log:l{each}") for each in range(number)}
    store_log_keys(tx, keys.tenant, made.items(), NOW)
    bodies = {log_id: new.sealer.seal(BODY, b"body of " + log_id.encode()) for log_id, new in made.items()}
    common = {"tenant": keys.tenant, "status": "active", "updated_at": NOW}
    tx.execute(insert(logs), [{**common, "log_id": log_id, "sealed_body": body} for log_id, body in bodies.items()])
    seen = {"tenant": keys.tenant, "connection": "c", "first_seen_at": NOW}
    for table, kind, column in ((quarantine, "quarantine", "sealed_record"), (proposals, "proposal", "sealed_detail")):
        key = keys.new_key(f"{kind}:x-{keys.tenant}")
        row = {f"{kind}_id": f"x-{keys.tenant}", "wrapped_key": key.wrapped_key, "key_version": key.key_version}
        extra = {"foreign_id": "1", "reason": "r", "last_seen_at": NOW} if kind == "quarantine" else {"kind": "match"}
        tx.execute(insert(table).values(**seen, **row, **extra, **{column: key.sealer.seal(column, b"held")}))
    own = keys.new_key(f"decision:x-{keys.tenant}")
    new = NewDecision("quarantine", "x", Choice.REPLAYED, None)
    keep(tx, keys.tenant, own, f"x-{keys.tenant}", new, Who("user-1", "why"), NOW)
    return bodies


def _age(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_a_rotation_wraps_every_key_anew_and_touches_no_body(db: Database, key_file: Path) -> None:
    """All four kinds of data keys are wrapped by the new version; the sealed bytes are the same and open."""
    with db.write() as tx:
        bodies = _fill(tx, read_key_file(key_file, TENANT), 450)
    assert rotate(db, KeyFile(key_file, TENANT), "it-1", NOW) == (2, 453)
    keys = read_key_file(key_file, TENANT)
    with db.read() as tx:
        assert in_use(tx, TENANT) == {2: 453}
        assert {row.log_id: row.sealed_body for row in tx.execute(select(logs))} == bodies
        sealers = log_sealers(tx, keys, bodies)
        assert all(sealers[each].open(BODY, body) == b"body of " + each.encode() for each, body in bodies.items())
        held = tx.execute(select(quarantine)).one()
        opened = keys.sealer(f"quarantine:x-{TENANT}", held.wrapped_key, held.key_version)
        assert opened.open("sealed_record", held.sealed_record) == b"held"


def test_a_rotation_that_was_cut_off_goes_on(db: Database, key_file: Path) -> None:
    """After a batch that fails, what was wrapped stays; the next rotation adds no version and wraps the rest."""
    file = KeyFile(key_file, TENANT)
    with db.write() as tx:
        _fill(tx, read_key_file(key_file, TENANT), 450)
        good = tx.scalar(select(log_keys.c.wrapped_key).where(log_keys.c.log_id == "l99"))
        tx.execute(update(log_keys).where(log_keys.c.log_id == "l99").values(wrapped_key=b"damaged"))
    with pytest.raises(SealBroken, match="log:l99"):
        rotate(db, file, "it-1", NOW)
    with db.write() as tx:
        assert in_use(tx, TENANT) == {1: 53, 2: 400}
        tx.execute(update(log_keys).where(log_keys.c.log_id == "l99").values(wrapped_key=good))
    assert rotate(db, file, "it-1", NOW) == (2, 53)
    assert rotate(db, file, "it-1", NOW) == (2, 0)


def test_an_old_version_goes_only_when_nothing_uses_it(db: Database, key_file: Path) -> None:
    """Not within an hour, not while a row needs it; then the file has one version, and everything still opens."""
    file, keys = KeyFile(key_file, TENANT), read_key_file(key_file, TENANT)
    with db.write() as tx:
        bodies = _fill(tx, keys, 3)
    add_version(file)
    _age(key_file, NOW)
    with pytest.raises(RotationRefused, match="less than an hour ago"):
        retire(db, file, "it-1", NOW + timedelta(minutes=59))
    with pytest.raises(RotationRefused, match="key version 1 still wraps 6 data keys"):
        retire(db, file, "it-1", LATER)
    assert rewrap(db, keys, "it-1", NOW) == 6
    assert retire(db, file, "it-1", LATER) == [1]
    after = read_key_file(key_file, TENANT)
    assert after.versions == {2}
    with db.read() as tx:
        assert log_sealers(tx, after, ["l0"])["l0"].open(BODY, bodies["l0"]) == b"body of l0"


def test_every_table_with_a_wrapped_key_is_rotated() -> None:
    """A table that gets a wrapped key has to be named in the rotation."""
    assert {each.table for each in WRAPPED} == {t for t in metadata.sorted_tables if "wrapped_key" in t.c}


def test_one_tenant_opens_nothing_of_another(db: Database, key_file: Path, tmp_path: Path) -> None:
    """Whole rows moved under another tenant, keys and sealed columns alike, are refused by each kind of key."""
    other_file = tmp_path / "other.json"
    new_key_file(other_file)
    mine, others = read_key_file(key_file, TENANT), read_key_file(other_file, OTHER)
    with db.write() as tx:
        bodies = _fill(tx, mine, 1)
        key = tx.execute(select(log_keys).where(log_keys.c.tenant == TENANT)).one()
        tx.execute(insert(log_keys).values(**{**key._mapping, "tenant": OTHER}))
        with pytest.raises(SealBroken, match=f"tenant {OTHER}, log:l0, field wrapped_key"):
            log_sealers(tx, others, ["l0"])
        for table, kind in ((quarantine, "quarantine"), (proposals, "proposal"), (decisions, "decision")):
            row = tx.execute(select(table)).one()
            with pytest.raises(SealBroken, match=f"tenant {OTHER}, {kind}:"):
                others.sealer(f"{kind}:x-{TENANT}", row.wrapped_key, row.key_version)
    own: Sealer = others.new_key("log:l0").sealer
    with pytest.raises(SealBroken, match=f"tenant {OTHER}, log:l0, field {BODY}"):
        own.open(BODY, bodies["l0"])


SEALED = sorted(f"{t.name}.{c.name}" for t in metadata.sorted_tables for c in t.c if c.name.startswith("sealed_"))


@pytest.mark.parametrize("field", SEALED)
def test_no_sealed_column_opens_under_another_tenant(field: str) -> None:
    """Even with the same key, log id and column, what one tenant sealed is refused under another's name."""
    blob = TenantKeys(TENANT, 1, {1: bytes(32)}, bytes(32)).new_key("log:l0")
    sealed = blob.sealer.seal(field, b"held")
    other = replace(blob.sealer, tenant=OTHER)
    with pytest.raises(SealBroken, match=f"tenant {OTHER}, log:l0, field {field}"):
        other.open(field, sealed)


def test_a_rotation_without_the_old_version_says_what_is_missing(db: Database, key_file: Path, tmp_path: Path) -> None:
    """A key file that lacks the version of a row is named as the reason; the row stays as it is."""
    with db.write() as tx:
        _fill(tx, read_key_file(key_file, TENANT), 1)
    spare = KeyFile(tmp_path / "spare.json", TENANT)
    new_key_file(spare.path)
    material = spare.read()
    spare.write(type(material)(7, {7: material.keys[1]}, material.hashing))
    with pytest.raises(KeyFileError, match="key version 1 is not in the key file"):
        rewrap(db, read_key_file(spare.path, TENANT), "it-1", NOW)
    with db.read() as tx:
        assert in_use(tx, TENANT) == {1: 4}
