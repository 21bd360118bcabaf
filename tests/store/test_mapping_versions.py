"""Frozen versions of mappings: kept word by word, one active at most, each deed an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from hub.store.database import Database
from hub.store.events import NotACode
from hub.store.mappingversions import (
    AlreadyFrozen,
    FrozenFile,
    FrozenMapping,
    UnknownVersion,
    VersionDamaged,
    activate,
    active,
    freeze,
    frozen,
    versions,
)
from hub.store.tables import events, mapping_versions

TENANT = "100000008"  # made up, as the other
OTHER = "200000003"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
FIRST = FrozenMapping("vigilo/stafettlogg", 1, (FrozenFile("mapping", "vigilo/stafettlogg", "v.yaml", "en: tekst\n"),))
SECOND = replace(FIRST, version=2, files=(replace(FIRST.files[0], text="ny: tekst\n"),))


def test_a_frozen_version_comes_back_word_by_word(db: Database) -> None:
    """What was frozen is read again exactly, and nothing runs before it is made active."""
    with db.write() as tx:
        assert freeze(tx, TENANT, FIRST, "it-1", NOW)
    with db.read() as tx:
        assert frozen(tx, TENANT, FIRST.id, 1) == FIRST
        assert active(tx, TENANT) == {}


def test_a_frozen_version_cannot_be_changed(db: Database) -> None:
    """The same again is nothing new; another content under the same version is refused with the remedy."""
    with db.write() as tx:
        freeze(tx, TENANT, FIRST, "it-1", NOW)
        assert not freeze(tx, TENANT, FIRST, "it-2", LATER)
        with pytest.raises(AlreadyFrozen, match="Raise 'version:'"):
            freeze(tx, TENANT, replace(SECOND, version=1), "it-1", LATER)
        assert frozen(tx, TENANT, FIRST.id, 1) == FIRST


def test_the_pointer_moves_forth_and_back(db: Database) -> None:
    """One version is active at a time, an older one may be again, and who and when is kept."""
    with db.write() as tx:
        for version in (FIRST, SECOND):
            freeze(tx, TENANT, version, "it-1", NOW)
        for version, at in ((FIRST, NOW), (SECOND, NOW), (FIRST, LATER)):
            activate(tx, TENANT, FIRST.id, version.version, "it-2", at)
            assert active(tx, TENANT) == {FIRST.id: version}
        row = tx.execute(select(mapping_versions).where(mapping_versions.c.active)).one()
    assert (row.frozen_by, row.frozen_at, row.activated_by, row.activated_at) == ("it-1", NOW, "it-2", LATER)


def test_the_database_allows_one_active_version(db: Database) -> None:
    """Two active versions of one mapping are refused by the database itself."""
    with db.write() as tx:
        for version in (FIRST, SECOND):
            freeze(tx, TENANT, version, "it-1", NOW)
    with pytest.raises(IntegrityError), db.write() as tx:
        tx.execute(update(mapping_versions).values(active=True))


def test_each_deed_is_an_event(db: Database) -> None:
    """Freezing and activating leave one event each, with actor, mapping and version; freezing again leaves none."""
    with db.write() as tx:
        freeze(tx, TENANT, FIRST, "it-1", NOW)
        freeze(tx, TENANT, FIRST, "it-1", NOW)
        activate(tx, TENANT, FIRST.id, 1, "it-2", LATER)
        rows = tx.execute(select(events).order_by(events.c.event_id)).all()
    assert {(row.action, row.subject_kind, row.subject_id) for row in rows} == {
        ("person:configuration:changed", "mapping", FIRST.id)
    }
    assert [(row.actor, row.at, row.data) for row in rows] == [
        ("it-1", NOW, {"change": "frozen", "version": 1}),
        ("it-2", LATER, {"change": "activated", "version": 1}),
    ]


def test_an_unknown_version_is_told_with_the_known_ones(db: Database) -> None:
    """A version that is not frozen, and one of another municipality, cannot run."""
    with db.write() as tx:
        freeze(tx, TENANT, FIRST, "it-1", NOW)
        with pytest.raises(UnknownVersion, match="Frozen are 1"):
            activate(tx, TENANT, FIRST.id, 7, "it-1", NOW)
        with pytest.raises(UnknownVersion, match="hub mapping freeze"):
            activate(tx, OTHER, FIRST.id, 1, "it-1", NOW)


def test_versions_are_listed_with_who_and_when(db: Database) -> None:
    """All of a municipality's, or one mapping's; which is active, and who let it run last; none of another's."""
    with db.write() as tx:
        assert versions(tx, TENANT) == ()
        for version in (FIRST, SECOND):
            freeze(tx, TENANT, version, "it-1", NOW)
        freeze(tx, OTHER, FIRST, "it-3", NOW)
        activate(tx, TENANT, FIRST.id, 1, "it-1", NOW)
        activate(tx, TENANT, FIRST.id, 2, "it-2", LATER)
        assert versions(tx, TENANT) == versions(tx, TENANT, FIRST.id)
        assert [(one.version, one.active, one.activated_by, one.activated_at) for one in versions(tx, TENANT)] == [
            (1, False, "it-1", NOW), (2, True, "it-2", LATER),
        ]  # fmt: skip
        assert {(one.mapping, one.frozen_by, one.frozen_at) for one in versions(tx, TENANT)} == {
            (FIRST.id, "it-1", NOW)
        }
        with pytest.raises(UnknownVersion, match=f"Frozen are {FIRST.id}"):
            versions(tx, TENANT, "vigilo/annet")


def test_what_was_changed_in_the_database_does_not_run(db: Database) -> None:
    """A stored text that is not what was frozen is refused, by its hash."""
    with db.write() as tx:
        freeze(tx, TENANT, FIRST, "it-1", NOW)
        activate(tx, TENANT, FIRST.id, 1, "it-1", NOW)
        files = [{"role": "mapping", "id": FIRST.id, "name": "v.yaml", "text": "another"}]
        tx.execute(update(mapping_versions).values(files=files))
        with pytest.raises(VersionDamaged, match="version 1 is not what was frozen"):
            active(tx, TENANT)


def test_who_must_be_a_user_id(db: Database) -> None:
    """A free text as actor is refused, and nothing is kept."""
    with pytest.raises(NotACode), db.write() as tx:
        freeze(tx, TENANT, FIRST, "Solskinn Testbarn", NOW)
    with db.read() as tx:
        assert tx.scalar(select(mapping_versions.c.version)) is None
