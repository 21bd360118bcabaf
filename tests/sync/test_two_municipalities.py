"""Two municipalities in one hub: the same child in both is two logs, and nothing goes from one to the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hub.operate.report import Reports
from hub.relaylog.moving import NoCopy, for_new_municipality, has_moved
from hub.sandbox.stories import moved_away, shared_level_2
from hub.store.decisions import Who
from hub.store.inbox import Inbox
from hub.store.logs import LogStore
from hub.store.sealing import SealError, new_key_file, read_key_file
from hub.store.tables import deliveries, events, holds, log_keys, logs, proposals, records, tasks
from hub.store.work import WorkStore
from hub.sync.context import Tenant
from hub.sync.cycle import Cycle
from hub.sync.decide import CannotDecide, Decisions
from tests.sync.house import ARCHIVE, House

OTHER = "900001010"  # made up
WHO = Who("user-1", "Flytta hit.")


@pytest.fixture
def neighbour(house: House, tmp_path: Path) -> Tenant:
    """Another municipality in the same store, whose Vigilo and Samspill know the same child by the same number."""
    path = tmp_path / f"{OTHER}.json"
    new_key_file(path)
    keys = read_key_file(path, OTHER)
    tenant = house.tenant
    theirs = {
        f"{OTHER}/{name.rpartition('/')[2]}": replace(connection, id=f"{OTHER}/{name.rpartition('/')[2]}")
        for name, connection in tenant.connections.items()
    }
    return replace(
        tenant,
        organisation_number=OTHER,
        name="Nabolaget kommune",
        connections=theirs,
        archive=None,
        logs=LogStore(keys),
        inbox=Inbox(keys, tenant.new_id),
        work=WorkStore(OTHER, tenant.new_id),
    )


def _sync(tenant: Tenant, occurrence: str) -> None:
    Cycle(tenant, "worker-1").whole(tenant.connections.values(), occurrence)


def _ids(house: House, tenant: str) -> set[str]:
    return {row.log_id for row in house.rows(logs, tenant=tenant)}


def test_two_municipalities_never_match_the_same_child(house: House, neighbour: Tenant) -> None:
    """Each has its own log under its own hash of the number, and nobody is asked whether they are one."""
    house.tell(shared_level_2)
    house.sync()
    _sync(neighbour, "first")
    ours, theirs = _ids(house, house.tenant.organisation_number), _ids(house, OTHER)
    assert len(ours) == len(theirs) == 1
    assert ours.isdisjoint(theirs)
    assert len({row.subject_hash for row in house.rows(logs)}) == 2
    assert house.rows(proposals) == []
    (number,) = {house.log_of("vl-000001").log.subject.national_id}
    with house.db.read() as tx:
        for tenant, expected in ((house.tenant, ours), (neighbour, theirs)):
            hashed = [each.logs.subject_hash(number) for each in (house.tenant, neighbour)]
            found = tenant.logs.of_subjects(tx, [each for each in hashed if each])
            assert {row.log_id for row in found} == expected


def test_no_row_of_one_municipality_is_about_a_log_of_another(house: House, neighbour: Tenant) -> None:
    """Deliveries, holds, tasks, events and records of each name its own logs and connections alone."""
    house.tell(shared_level_2, moved_away)
    house.sync()
    _sync(neighbour, "first")
    for number, other in ((house.tenant.organisation_number, OTHER), (OTHER, house.tenant.organisation_number)):
        foreign = _ids(house, other)
        for table in (deliveries, holds, tasks, records):
            for row in house.rows(table, tenant=number):
                assert row.log_id not in foreign
                assert not (row.connection or number).startswith(other)
        said = str([(row.subject_id, row.data) for row in house.rows(events, tenant=number)])
        assert not any(log_id in said for log_id in foreign)
        assert other not in said


def test_one_municipality_cannot_open_show_or_join_a_log_of_another(house: House, neighbour: Tenant) -> None:
    """Its keys do not open it, its inbox does not show it, and no decision of its people reaches it."""
    house.tell(shared_level_2)
    house.sync()
    (ours,) = _ids(house, house.tenant.organisation_number)
    with house.db.read() as tx, pytest.raises(SealError):
        neighbour.logs.load(tx, ours)
    assert Reports(house.db).inbox(OTHER) == []
    assert Reports(house.db).trace(OTHER, ours) == []
    with pytest.raises(CannotDecide):
        Decisions(neighbour).accept("no-proposal", WHO, into=ours)
    assert {row.tenant for row in house.rows(log_keys)} == {house.tenant.organisation_number}


@pytest.mark.usefixtures("neighbour")
def test_a_move_closes_the_log_and_hands_nothing_over(house: House) -> None:
    """Closed as moved, it is archived at home; the other municipality's hub has nothing of it, and no copy is made."""
    house.tell(moved_away)
    house.sync()
    log = house.log_of("vl-000001").log
    assert has_moved(log)
    assert isinstance(for_new_municipality(log), NoCopy)
    house.archive()
    house.time.after(days=1)
    house.sync()
    assert _ids(house, OTHER) == set()
    assert {row.connection for row in house.rows(deliveries)} == {ARCHIVE}


def test_no_event_or_row_in_clear_names_the_new_municipality(house: House) -> None:
    """What the closing says of where the family went lies sealed alone."""
    house.tell(moved_away)
    house.sync()
    told = house.vigilo()["avslutning"]["vidareTil"]
    said = str([tuple(row) for table in (events, logs, holds, tasks, deliveries) for row in house.rows(table)])
    assert told
    assert told not in said
