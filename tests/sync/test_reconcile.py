"""The daily count finds what is missing, changed unnoticed or gone from the archive, and lists it until closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub.connectors.base import Connector, Page
from hub.engine.occurrences import plan
from hub.sandbox.stories import kindergarten_goal_reached, ordinary_kindergarten
from hub.service.schedule import COUNT
from hub.store.decisions import Who
from hub.store.tables import DifferenceState, RunState, deliveries, differences, events, records, runs
from hub.sync.decide import CannotDecide, Decisions
from hub.sync.pull import PullResult
from hub.sync.reconcile import WHY
from hub.sync.rows import SyncRows, count_of
from tests.sync.house import VIGILO, House

WHO = Who("operator-1", "looked into it")


def _count(house: House) -> PullResult:
    return house.cycle.pull_by_hand(house.tenant.connections[VIGILO], house.new_id(), why=WHY)


def _found(house: House) -> list[tuple[str, str, str]]:
    return [(str(row.kind), row.subject, str(row.state)) for row in house.rows(differences)]


def test_what_was_taken_in_makes_no_difference(house: House) -> None:
    """Right after a pull, source and hub agree, whatever is in quarantine."""
    house.tell_many(ordinary_kindergarten, 3)
    del house.vigilo(2)["barn"]
    house.pull(VIGILO)
    result = _count(house)
    assert (result.counts["read"], result.counts["differences"], result.error) == (3, 0, "")
    assert _found(house) == []


def test_what_the_hub_lacks_and_what_the_source_lacks_is_listed(house: House) -> None:
    """A record that came after the pull and one that vanished are two differences; the count itself changes nothing."""
    house.tell_many(ordinary_kindergarten, 2)
    house.pull(VIGILO)
    del house.world.vigilo["vl-000001"]
    house.world.vigilo["vl-000009"] = {**house.vigilo(2), "id": "vl-000009"}
    assert _count(house).counts["differences"] == 2
    assert sorted(_found(house)) == [("not_listed", "vl-000001", "open"), ("not_taken_in", "vl-000009", "open")]
    assert [row.foreign_id for row in house.rows(records)] == ["vl-000001", "vl-000002"]


def test_what_changed_without_a_new_version_is_listed(house: House) -> None:
    """A record that says something else under the version that the hub read was changed behind everybody's back."""
    house.tell_many(ordinary_kindergarten, 2)
    house.pull(VIGILO)
    house.vigilo(1)["steg"] = "9.9"
    house.vigilo(2)["steg"] = "9.9"
    house.saved(house.vigilo(2))
    _count(house)
    assert _found(house) == [("other_content", "vl-000001", "open")]


def test_a_difference_goes_when_a_later_count_no_longer_finds_it(house: House) -> None:
    """The next pull takes the record in, and the next count ends the difference by itself, with an event."""
    house.tell_many(ordinary_kindergarten, 1)
    _count(house)
    house.pull(VIGILO)
    _count(house)
    assert _found(house) == [("not_taken_in", "vl-000001", "gone")]
    assert [row.action for row in house.rows(events, subject_kind="difference")] == [
        "hub:difference:found",
        "hub:difference:gone",
    ]


def test_a_person_closes_a_difference_and_a_later_count_may_find_it_again(house: House) -> None:
    """Closing says who and when; what is still different is a new difference, and a closed one cannot be closed."""
    house.tell_many(ordinary_kindergarten, 1)
    _count(house)
    (row,) = house.rows(differences)
    Decisions(house.tenant).close(row.difference_id, WHO)
    (row,) = house.rows(differences)
    assert (row.state, row.closed_by) == (DifferenceState.CLOSED, "operator-1")
    with pytest.raises(CannotDecide, match="No open difference"):
        Decisions(house.tenant).close(row.difference_id, WHO)
    _count(house)
    assert [state for _, _, state in _found(house)] == ["closed", "open"]


def test_a_bag_that_is_no_longer_as_it_was_received_is_listed(house: House) -> None:
    """The archive is read again: a changed file in a proved package is a difference, and so is a missing bag."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    (delivery,) = house.rows(deliveries, kind="archive")
    _count(house)
    assert _found(house) == []
    (bag,) = house.archive_folder.glob(f"*/*/{delivery.delivery_id}")
    (bag / "data" / "arkivmelding.xml").write_bytes(b"<arkivmelding/>")
    _count(house)
    assert _found(house) == [("archive_lacks", delivery.delivery_id, "open")]


def test_a_closed_log_that_nothing_brings_to_the_archive_is_listed(house: House) -> None:
    """A day after its closing, a log without proof, delivery or hold is a difference."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.time.after(hours=25)
    _count(house)
    ((kind, subject, _),) = _found(house)
    assert (kind, subject) == ("not_archived", house.log_of("vl-000001").log_id)
    house.archive()
    _count(house)
    assert [state for *_, state in _found(house)] == ["gone"]


def test_from_half_a_listing_nothing_is_concluded(house: House) -> None:
    """A count whose listing breaks off fails, and lists nothing."""
    house.tell_many(ordinary_kindergarten, 8)
    house.fault("vigilo", kind="status", status=500, page=1, times=99)
    result = _count(house)
    assert result.error
    assert _found(house) == []


def test_the_count_has_a_schedule_of_its_own(house: House) -> None:
    """Its occurrences are runs of their own kind, each once, beside those that read; a late one is a count as well."""
    rows = SyncRows(house.db, {house.tenant.organisation_number: house.tenant}, "worker-1")
    four = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    house.time.at = four + timedelta(hours=2)
    name = count_of(VIGILO)
    found = plan(name, COUNT, four - timedelta(days=1), house.time.now(), busy=None)
    assert len(list(rows.book(name, found))) == 1
    assert list(rows.book(name, found)) == []
    assert [row.why for row in house.rows(runs)] == [WHY]
    assert rows.planned_until(name) == four
    assert rows.planned_until(VIGILO) is None


def test_a_record_that_breaks_off_in_a_sign_is_counted_like_any_other(house: House) -> None:
    """Half a sign in a text makes it another content, and ends no count; a newer version is the next pull's."""
    house.tell_many(ordinary_kindergarten, 2)
    house.pull(VIGILO)

    def broken_off(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            first, *others = page.records
            broken = {**first.tree, "notat": [{**first.tree["notat"][0], "tekst": "halvt \ud800"}]}
            yield replace(page, records=(replace(first, tree=broken), *others))

    house.detours[VIGILO].pages_by = broken_off
    _count(house)
    assert _found(house) == [("other_content", "vl-000001", "open")]


def test_a_record_that_no_row_can_name_is_not_counted(house: House) -> None:
    """It waits in quarantine; as a difference its id, which may be somebody's national id, would lie in clear."""
    house.tell_many(ordinary_kindergarten, 3)
    number = house.vigilo(1)["foresette"][0]["fodselsnummer"]

    def misnamed(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            ids = ("vl\0", "r" * 201, number)
            yield Page(tuple(replace(record, id=each) for record, each in zip(page.records, ids, strict=True)))

    house.detours[VIGILO].pages_by = misnamed
    house.pull(VIGILO)
    assert _count(house).state is RunState.DONE
    assert house.rows(differences) == []


def test_a_mistake_in_a_count_ends_it_and_is_seen(house: House) -> None:
    """What nobody thought of ends as failed with its class of error, and is not tried again without end."""
    house.tell_many(ordinary_kindergarten, 2)

    def mistake(_real: Connector) -> Iterator[Page]:
        raise ZeroDivisionError

    house.detours[VIGILO].pages_by = mistake
    _count(house)
    (row,) = house.rows(runs)
    assert (row.state, row.error_class, row.attempts) == (RunState.FAILED, "internal_error", 1)
    assert (row.lease_owner, row.ended_at) == (None, house.time.now())
