"""Pull: what a listing says is taken in page by page, and what it does not say is never concluded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row
from structlog.testing import capture_logs

from hub.connectors.base import Connector, Misconfigured, Page, Refused, SourceRecord, Unavailable, Unreadable, Waiting
from hub.connectors.files import Folder, Settings, Template
from hub.payloads.registry import payload
from hub.sandbox.stories import ordinary_health_station, ordinary_kindergarten, shared_level_2
from hub.store.database import Database
from hub.store.decisions import Who
from hub.store.leases import LEASE, RUNS, claim
from hub.store.tables import (
    ProposalKind,
    QuarantineState,
    RunState,
    cursors,
    decisions,
    events,
    logs,
    proposals,
    quarantine,
    records,
    runs,
)
from hub.sync.heartbeat import Heartbeat
from hub.sync.pull import RUN_PAUSES
from hub.sync.replay import ask_replay
from hub.sync.rows import SyncRows
from tests.sync.house import MORNING, SAMSPILL, VIGILO, Detour, House

LIVING = "02013299997"  # printed by the authorities as an example: valid, and not synthetic
Tree = dict[str, Any]


def _counts(house: House, connection: str = VIGILO) -> dict[str, int]:
    """Pull, and give the counts that are not nought."""
    return {name: count for name, count in house.pull(connection).counts.items() if count}


# --- counting ----------------------------------------------------------------------------------------------------


def test_records_are_new_then_unchanged_then_changed(house: House) -> None:
    """Each record is counted by what became of it, and the run's row says the same."""
    house.tell_many(ordinary_kindergarten, 7)
    assert _counts(house) == {"read": 7, "new": 7}
    assert _counts(house) == {"read": 7, "unchanged": 7}
    changed = house.vigilo(3)
    changed["steg"] = "1.9"
    house.saved(changed)
    assert _counts(house) == {"read": 7, "changed": 1, "unchanged": 6}
    assert [(row.state, row.counts["read"], row.outcome) for row in house.rows(runs)] == [
        (RunState.DONE, 7, "done")
    ] * 3
    assert house.log_of("vl-000003").log.step == "1.9"


def test_what_is_volatile_is_no_change(house: House) -> None:
    """That somebody looked at a log, or saved it as it was, changes nothing."""
    house.tell(ordinary_kindergarten, ordinary_health_station)
    house.sync()
    house.vigilo()["sistLest"] = "2026-11-21T08:59:00Z"
    house.saved(house.vigilo())
    house.samspill()["lastOpenedAt"] = "2026-11-21T08:59:00Z"
    assert _counts(house) == _counts(house, SAMSPILL) == {"read": 1, "unchanged": 1}


def test_the_cursor_moves_with_a_whole_run(house: House) -> None:
    """A connection has been read up to the end of its last whole run."""
    house.tell(ordinary_kindergarten)
    house.pull(VIGILO)
    house.time.after(minutes=15)
    house.pull(VIGILO)
    assert [row.value for row in house.rows(cursors)] == [house.time.now().isoformat()]


def test_an_empty_system_is_read_as_empty(house: House) -> None:
    """A first listing without any log is a whole run with nothing in it."""
    assert house.pull(VIGILO).state is RunState.DONE
    assert house.pull(SAMSPILL).state is RunState.DONE
    assert house.rows(logs) == []


# --- quarantine --------------------------------------------------------------------------------------------------


def _no_child(log: Tree) -> None:
    del log["barn"]


def _no_such_day(log: Tree) -> None:
    log["oppretta"] = "31.02.2026"


def _no_such_kind(log: Tree) -> None:
    log["malkode"] = "HEILT_ANNA_MAL"


def _no_list(log: Tree) -> None:
    log["tiltak"] = "Solskinn Testbarn har ingen"


@pytest.mark.parametrize(
    ("spoil", "reason", "place"),
    [
        (_no_child, "unmapped", "/"),
        (_no_such_day, "unmapped", "/oppretta"),
        (_no_such_kind, "unclaimed", "/"),
        (_no_list, "unmapped", "/tiltak"),
    ],
)
def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(
    house: House, spoil: Callable[[Tree], None], reason: str, place: str
) -> None:
    """The record lies in quarantine with the place and the rule, not the value; its page's others are taken in."""
    house.tell_many(ordinary_kindergarten, 4)
    spoil(house.vigilo(2))
    assert _counts(house) == {"read": 4, "new": 3, "quarantined": 1}
    (kept,) = house.rows(quarantine)
    assert (kept.foreign_id, kept.reason) == ("vl-000002", reason)
    assert kept.place.startswith(place)
    assert kept.rule.startswith("vigilo/stafettlogg")
    clear = str([value for value in kept if not isinstance(value, bytes)])
    assert not any(word in clear for word in ("31.02", "HEILT_ANNA", "Solskinn"))
    assert len(house.rows(logs)) == 3


def test_a_mended_record_leaves_quarantine(house: House) -> None:
    """Once it can be read it is a log like any other, and what was kept of it is gone."""
    house.tell(ordinary_kindergarten)
    right = house.vigilo()["oppretta"]
    _no_such_day(house.vigilo())
    house.pull(VIGILO)
    assert _counts(house) == {"read": 1, "quarantined": 1}
    house.vigilo()["oppretta"] = right
    house.saved(house.vigilo())
    assert _counts(house) == {"read": 1, "new": 1}
    (kept,) = house.rows(quarantine)
    assert (kept.state, kept.attempts) == (QuarantineState.REPLAYED, 2)
    assert kept.sealed_record is kept.wrapped_key is None
    assert _counts(house) == {"read": 1, "unchanged": 1}


def test_a_known_record_that_turns_unreadable_is_not_missing(house: House) -> None:
    """It was in the listing: its log stays as it was, and nobody is asked whether it was deleted."""
    house.tell_many(ordinary_kindergarten, 3)
    house.pull(VIGILO)
    before = house.log_of("vl-000002").log
    _no_such_day(house.vigilo(2))
    house.saved(house.vigilo(2))
    assert _counts(house) == {"read": 3, "unchanged": 2, "quarantined": 1}
    assert house.rows(proposals) == []
    assert [row.missing_since for row in house.rows(records)] == [None] * 3
    assert house.log_of("vl-000002").log == before


def test_a_known_record_that_was_mended_is_changed(house: House) -> None:
    """Back from quarantine it is the log that it was before."""
    house.tell(ordinary_kindergarten)
    house.pull(VIGILO)
    right = house.vigilo()["oppretta"]
    _no_such_day(house.vigilo())
    house.pull(VIGILO)
    house.vigilo()["oppretta"] = right
    assert _counts(house) == {"read": 1, "changed": 1}
    assert len(house.rows(logs)) == 1
    assert house.rows(quarantine, state=QuarantineState.OPEN) == []


def _spoiling(change: Callable[[Page], Page]) -> Callable[[Connector], Iterator[Page]]:
    return lambda real: map(change, real.pages())


def test_half_a_sign_spoils_one_record_and_not_the_page(house: House) -> None:
    """A text cut in the middle of a sign, as some systems do, can't be stored: that record waits, the others go on."""
    house.tell_many(ordinary_kindergarten, 3)

    def cut(page: Page) -> Page:
        first, *others = page.records
        return Page((replace(first, tree={**first.tree, "steg": "Solskinn \ud83d"}), *others))

    house.detours[VIGILO].pages_by = _spoiling(cut)
    assert _counts(house) == {"read": 3, "new": 2, "quarantined": 1}
    assert [(row.reason, row.foreign_id) for row in house.rows(quarantine)] == [("broken_text", "vl-000001")]


def test_a_record_that_stands_twice_in_a_page_is_one_log(house: House) -> None:
    """The second time it is unchanged, and no log is left without a record."""
    house.tell_many(ordinary_kindergarten, 2)
    house.detours[VIGILO].pages_by = _spoiling(lambda page: Page((*page.records, *page.records)))
    assert _counts(house) == {"read": 4, "new": 2, "unchanged": 2}
    assert len(house.rows(logs)) == len(house.rows(records)) == 2
    assert house.rows(proposals) == []


def test_a_record_without_an_id_is_set_aside(house: House) -> None:
    """Nothing could ever be matched with it again, so it is not taken in; seen again it is the same one."""
    house.tell(ordinary_kindergarten)
    house.detours[VIGILO].pages_by = _spoiling(lambda page: Page(tuple(replace(r, id="") for r in page.records)))
    for _ in range(2):
        assert _counts(house) == {"read": 1, "quarantined": 1}
    assert [(row.reason, row.attempts) for row in house.rows(quarantine)] == [("no_id", 2)]


def _long_id(record: SourceRecord) -> SourceRecord:
    return replace(record, id="r" * 201)


def _nul_in_id(record: SourceRecord) -> SourceRecord:
    return replace(record, id="vl\0000001")


def _long_version(record: SourceRecord) -> SourceRecord:
    return replace(record, version="v" * 201)


def _nul_in_version(record: SourceRecord) -> SourceRecord:
    return replace(record, version="1\0")


def _long_key(record: SourceRecord) -> SourceRecord:
    first, *others = record.tree["tiltak"]
    return replace(record, tree={**record.tree, "tiltak": [{**first, "id": "k" * 201}, *others]})


@pytest.mark.parametrize(
    ("spoil", "reason", "place", "named"),
    [
        (_long_id, "broken_id", "/", False),
        (_nul_in_id, "broken_id", "/", False),
        (_long_version, "broken_version", "/", True),
        (_nul_in_version, "broken_version", "/", True),
        (_long_key, "broken_key", "measures[]", True),
    ],
)
def test_what_no_row_has_room_for_stops_its_record_alone(
    house: House, spoil: Callable[[SourceRecord], SourceRecord], reason: str, place: str, *, named: bool
) -> None:
    """An id, version or key that is too long or no line of text waits; the others of its page come in each time."""
    house.tell_many(ordinary_kindergarten, 3)

    def spoilt(page: Page) -> Page:
        first, *others = page.records
        return Page((spoil(first), *others))

    house.detours[VIGILO].pages_by = _spoiling(spoilt)
    assert _counts(house) == {"read": 3, "new": 2, "quarantined": 1}
    assert _counts(house) == {"read": 3, "unchanged": 2, "quarantined": 1}
    (kept,) = house.rows(quarantine)
    assert (kept.reason, kept.place, kept.attempts) == (reason, place, 2)
    assert kept.foreign_id.startswith("vl-000001" if named else "unnamed-")
    assert len(house.rows(logs)) == 2


def test_a_version_that_no_row_has_room_for_is_asked_about_though_nothing_else_changed(house: House) -> None:
    """The hub could not write to the record any more, so that it is not passed over as unchanged; nor is it missing."""
    house.tell_many(ordinary_kindergarten, 2)
    house.pull(VIGILO)
    house.detours[VIGILO].pages_by = _spoiling(lambda page: Page(tuple(map(_long_version, page.records))))
    assert _counts(house) == {"read": 2, "quarantined": 2}
    assert house.rows(proposals) == []


def test_a_long_id_of_a_unit_stops_nothing(house: House) -> None:
    """What stands in clear of it is cut; the log itself has it whole."""
    house.tell(ordinary_kindergarten)

    def long(record: SourceRecord) -> SourceRecord:
        return replace(record, tree={**record.tree, "_school": {**record.tree["_school"], "id": "s" * 300}})

    house.detours[VIGILO].pages_by = _spoiling(lambda page: Page(tuple(map(long, page.records))))
    assert _counts(house) == {"read": 1, "new": 1}
    assert house.rows(logs)[0].owning_unit_id == "s" * 80
    assert house.log_of("vl-000001").log.unit.id == "s" * 300


def test_a_place_with_a_long_name_in_it_is_cut(house: House) -> None:
    """A file's own names may stand in the place of what is wrong with it; they stop no other file."""
    house.tell(ordinary_kindergarten)
    bad = Unreadable("f" * 32, b"<", "syntax", "/" + "e\0" * 300, "r" * 300)
    house.detours[VIGILO].pages_by = _spoiling(lambda page: replace(page, unreadable=(bad,)))
    assert _counts(house) == {"read": 2, "new": 1, "quarantined": 1}
    (kept,) = house.rows(quarantine)
    assert (len(kept.place), len(kept.rule)) == (300, 200)
    assert kept.place.isprintable()


def test_a_record_without_a_name_of_its_own_stays_when_it_is_replayed_in_vain(house: House) -> None:
    """It is refused as before, and what was kept of it is still there."""
    house.tell(ordinary_kindergarten)

    def renamed(record: SourceRecord) -> SourceRecord:
        return replace(record, id="r" * 201, tree={**record.tree, "id": "r" * 201})

    house.detours[VIGILO].pages_by = _spoiling(lambda page: Page(tuple(map(renamed, page.records))))
    house.pull(VIGILO)
    run_id = ask_replay(house.tenant, Who("ola", "prøver igjen"), VIGILO)
    assert run_id
    house.cycle.pull(house.tenant.connections[VIGILO], run_id)
    (kept,) = house.rows(quarantine)
    assert (kept.state, kept.attempts) == (QuarantineState.OPEN, 2)
    assert kept.sealed_record


# --- listings that are not whole ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "state", "error"),
    [
        ({"kind": "html"}, RunState.HELD, "not_json"),
        ({"kind": "truncated"}, RunState.HELD, "broken_json"),
        ({"kind": "empty"}, RunState.HELD, "missing_pages"),
        ({"kind": "status", "status": 403}, RunState.HELD, "unauthorized"),
        ({"kind": "status", "status": 503, "times": 3}, RunState.QUEUED, "http_503"),
        ({"kind": "status", "status": 429, "retry_after": 600}, RunState.QUEUED, "http_429"),
    ],
)
@pytest.mark.parametrize("system", ["vigilo", "samspill"])
def test_a_fault_on_a_later_page_keeps_the_earlier_and_concludes_nothing(
    house: House, system: str, fault: Tree, state: RunState, error: str
) -> None:
    """The first page is stored, the cursor stays, nothing is missing or closed, and the next run takes the rest."""
    connection, story = {
        "vigilo": (VIGILO, ordinary_kindergarten),
        "samspill": (SAMSPILL, ordinary_health_station),
    }[system]
    house.tell_many(story, 11)
    house.fault(system, page=1, **fault)
    result = house.pull(connection)
    assert (result.state, result.error) == (state, error)
    assert result.remedy
    (row,) = house.rows(runs)
    assert (row.state, row.error_class, row.counts["read"], row.lease_owner) == (state, error, 5, None)
    assert len(house.rows(records)) == 5
    assert house.rows(cursors) == house.rows(proposals) == []
    assert {row.status for row in house.rows(logs)} == {"active"}
    assert _counts(house, connection) == {"read": 11, "new": 6, "unchanged": 5}


def test_an_error_after_a_whole_run_leaves_the_cursor(house: House) -> None:
    """What was read once stays read: a failing run moves nothing back or forth, and no log counts as gone."""
    house.tell_many(ordinary_kindergarten, 11)
    house.pull(VIGILO)
    before = house.rows(cursors)
    house.time.after(hours=1)
    house.fault("vigilo", kind="html", page=1)
    assert house.pull(VIGILO).state is RunState.HELD
    assert house.rows(cursors) == before
    assert {row.missing_since for row in house.rows(records)} == {None}


def test_a_listing_that_claims_to_be_empty_is_held(house: House) -> None:
    """A system that answers well-formed and empty has lost its logs, or our rights: nothing is closed."""
    house.tell_many(ordinary_kindergarten, 12)
    house.pull(VIGILO)
    before = house.rows(cursors), house.rows(logs)
    house.time.after(hours=1)
    house.fault("vigilo", kind="empty")
    result = house.pull(VIGILO)
    assert (result.state, result.error) == (RunState.HELD, "listing_too_short")
    assert "12 of 12" in result.remedy
    assert (house.rows(cursors), house.rows(logs)) == before
    assert house.rows(proposals) == []
    assert {row.missing_since for row in house.rows(records)} == {None}


@pytest.mark.parametrize(
    ("known", "gone", "state"),
    [
        (3, 3, RunState.DONE),
        (9, 5, RunState.DONE),
        (10, 1, RunState.DONE),
        (10, 2, RunState.HELD),
        (20, 2, RunState.DONE),
        (20, 3, RunState.HELD),
    ],
)
def test_fewer_than_nine_in_ten_is_a_fault_and_else_each_is_asked(
    house: House, known: int, gone: int, state: RunState
) -> None:
    """From ten logs on a listing of less than 90 % is held; otherwise each missing log is noted and proposed."""
    house.tell_many(ordinary_kindergarten, known)
    house.pull(VIGILO)
    house.time.after(hours=1)
    lost = sorted(house.world.vigilo)[:gone]
    for record_id in lost:
        del house.world.vigilo[record_id]
    assert house.pull(VIGILO).state is state
    missing = [row.foreign_id for row in house.rows(records) if row.missing_since]
    asked = [row.foreign_id for row in house.rows(proposals, kind=ProposalKind.DELETION)]
    assert sorted(missing) == sorted(asked) == (lost if state is RunState.DONE else [])
    assert {row.status for row in house.rows(logs)} == {"active"}
    assert len(house.rows(logs)) == known


def test_a_missing_log_is_asked_about_once_and_may_come_back(house: House) -> None:
    """Another run without it asks nothing new; when it is listed again it is missing no more."""
    house.tell_many(ordinary_kindergarten, 3)
    house.pull(VIGILO)
    away = house.world.vigilo.pop("vl-000002")
    for _ in range(2):
        house.pull(VIGILO)
    assert len(house.rows(proposals)) == 1
    house.world.vigilo["vl-000002"] = away
    assert _counts(house) == {"read": 3, "unchanged": 3}
    assert {row.missing_since for row in house.rows(records)} == {None}


def test_new_logs_do_not_hide_that_others_are_gone(house: House) -> None:
    """The share is taken of the logs that were known, however many came today."""
    house.tell_many(ordinary_kindergarten, 10)
    house.pull(VIGILO)
    house.time.after(hours=1)
    for record_id in sorted(house.world.vigilo)[:2]:
        house.world.vigilo[f"vl-9{record_id[4:]}"] = {**house.world.vigilo.pop(record_id)}
    for number, record in enumerate(house.world.vigilo.values()):
        record["id"] = sorted(house.world.vigilo)[number]
    assert house.pull(VIGILO).error == "listing_too_short"


def _lose(house: House, count: int = 1) -> None:
    """Let so many logs be gone at the source."""
    for record_id in sorted(house.world.vigilo)[:count]:
        del house.world.vigilo[record_id]


def test_a_log_that_is_gone_each_day_stops_no_run(house: House) -> None:
    """The share is of the logs that were listed the day before: what is gone since long is not counted again."""
    house.tell_many(ordinary_kindergarten, 20)
    house.pull(VIGILO)
    for _ in range(8):
        house.time.after(days=1)
        _lose(house)
        assert house.pull(VIGILO).state is RunState.DONE
    assert len(house.rows(proposals, kind=ProposalKind.DELETION)) == 8


def test_what_was_wiped_here_may_be_gone_there(house: House) -> None:
    """A system that deletes its own archived logs, as the hub has, stops no run."""
    house.tell_many(ordinary_kindergarten, 12)
    house.pull(VIGILO)
    with house.db.write() as tx:
        for number in range(1, 5):
            house.tenant.logs.emptied(tx, house.log_of(f"vl-{number:06}").log_id, house.time.now())
    house.time.after(days=1)
    _lose(house, 4)
    assert house.pull(VIGILO).state is RunState.DONE
    assert house.rows(proposals) == []


def test_a_run_that_starts_over_knows_what_was_there_before_it(house: House) -> None:
    """Sixty new logs, taken in by an attempt that broke off, do not hide that six of ten are gone."""
    house.tell_many(ordinary_kindergarten, 70)
    new = {record_id: house.world.vigilo.pop(record_id) for record_id in sorted(house.world.vigilo)[10:]}
    house.pull(VIGILO)
    house.time.after(days=1)
    _lose(house, 6)
    house.world.vigilo.update(new)
    connection, now = house.tenant.connections[VIGILO], house.time.now()
    with house.db.write() as tx:
        run_id = house.tenant.work.queue_run(tx, VIGILO, "one that starts over", "person", now, now)
    assert run_id
    house.fault("vigilo", kind="status", status=503, page=12, times=3)
    assert house.cycle.pull(connection, run_id).state is RunState.QUEUED
    house.time.after(hours=1)
    assert house.cycle.pull(connection, run_id).error == "listing_too_short"
    assert house.rows(proposals) == []


def test_what_is_listed_and_cannot_be_read_is_not_gone(house: House) -> None:
    """A known record that is listed under its own id, and is none any more, is in quarantine and not asked about."""
    house.tell_many(ordinary_kindergarten, 3)
    house.pull(VIGILO)

    def spoilt(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            found = tuple(
                Unreadable(one.id, b"{}", "no_record", "/", "A record has a version", own_id=True)
                for one in page.records
                if one.id == "vl-000001"
            )
            yield replace(page, records=tuple(one for one in page.records if one.id != "vl-000001"), unreadable=found)

    house.detours[VIGILO].pages_by = spoilt
    house.time.after(hours=1)
    assert _counts(house) == {"read": 3, "unchanged": 2, "quarantined": 1}
    assert house.rows(proposals) == []
    (kept,) = house.rows(quarantine)
    assert (kept.foreign_id, kept.reason) == ("vl-000001", "payload_no_record")
    house.detours[VIGILO].pages_by = None
    house.pull(VIGILO)
    (kept,) = house.rows(quarantine)
    assert kept.state is not QuarantineState.OPEN


def test_a_person_may_take_a_short_listing_for_whole(house: House) -> None:
    """Who and why are kept, each missing log is asked about, and the next run needs nobody."""
    house.tell_many(ordinary_kindergarten, 10)
    house.pull(VIGILO)
    house.time.after(days=1)
    _lose(house, 6)
    assert house.pull(VIGILO).error == "listing_too_short"
    house.time.after(hours=1)
    result = house.cycle.whole([house.tenant.connections[VIGILO]], "by-hand", Who("drift-1", "Skulen er nedlagd."))
    assert result.pulls[VIGILO].state is RunState.DONE
    assert len(house.rows(proposals, kind=ProposalKind.DELETION)) == 6
    assert {row.status for row in house.rows(logs)} == {"active"}
    (asked,) = house.rows(events, action="person:run:asked")
    assert (asked.actor, asked.data) == ("drift-1", {"why": "short_listing"})
    assert [(row.decided_by, row.choice) for row in house.rows(decisions)] == [("drift-1", "accepted")]
    house.time.after(days=1)
    assert house.pull(VIGILO).state is RunState.DONE


# --- one worker --------------------------------------------------------------------------------------------------


def test_the_same_occurrence_runs_once(house: House) -> None:
    """Asked for again, an occurrence that is written down is not run again."""
    house.tell(ordinary_kindergarten)
    connection = house.tenant.connections[VIGILO]
    assert house.cycle.pull_by_hand(connection, "by-hand").state is RunState.DONE
    again = house.cycle.pull_by_hand(connection, "by-hand")
    assert (again.error, again.counts) == ("run_taken", {})
    assert len(house.rows(runs)) == 1


def test_a_connection_has_one_run_at_a_time(house: House) -> None:
    """While another worker's run of the connection is at work a second one does not start."""
    now = house.time.now()
    with house.db.write() as tx:
        run_id = house.tenant.work.queue_run(tx, VIGILO, "scheduled", "schedule", now, now)
        assert run_id
        assert claim(tx, RUNS, run_id, "worker-2", now, now + LEASE)
    assert house.pull(VIGILO).error == "run_taken"
    assert [row.state for row in house.rows(runs)] == [RunState.RUNNING, RunState.QUEUED]


def test_a_worker_that_lost_its_run_writes_nothing_more(house: House, db: Database) -> None:
    """It slept past its lease and another took the run: its next page is refused and leaves no trace."""
    house.tell_many(ordinary_kindergarten, 9)
    rows = SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2")

    def slow(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            yield page
            house.time.after(hours=1)
            task, *_ = rows.sweep(house.time.now())
            now = house.time.now()
            with db.write() as tx:
                assert claim(tx, RUNS, task.row_id, "worker-2", now, now + LEASE)

    house.detours[VIGILO].pages_by = slow
    assert house.pull(VIGILO).error == "run_taken"
    (run,) = house.rows(runs)
    assert (run.state, run.lease_owner, run.counts["read"]) == (RunState.RUNNING, "worker-2", 5)
    assert len(house.rows(records)) == 5
    assert house.rows(cursors) == []


def test_a_slow_listing_keeps_its_run_page_by_page(house: House, db: Database) -> None:
    """A run that takes minutes in all stays its worker's as long as each page comes within the lease."""
    house.tell_many(ordinary_kindergarten, 14)
    rows = SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2")

    def slow(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            house.time.after(seconds=25)
            assert list(rows.sweep(house.time.now())) == []
            yield page

    house.detours[VIGILO].pages_by = slow
    assert house.pull(VIGILO).state is RunState.DONE
    assert len(house.rows(records)) == 14


def test_a_page_that_takes_long_loses_no_run(house: House, db: Database) -> None:
    """Three minutes for one page, with a heartbeat: nobody else is given the run, and it ends well."""
    house.tell_many(ordinary_kindergarten, 9)
    rows = SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2")
    heart = Heartbeat(db, "worker-1", house.time.now)

    def slow(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            for _ in range(9):
                house.time.after(seconds=20)
                heart.beat()
                assert list(rows.sweep(house.time.now())) == []
            yield page

    house.detours[VIGILO].pages_by = slow
    assert house.pull(VIGILO).state is RunState.DONE
    assert [row.attempts for row in house.rows(runs)] == [1]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Misconfigured("token_refused", "refused", "Check client_secret"), RunState.HELD),
        (Unavailable("connection_refused", "cannot be reached", "Check base_url"), RunState.QUEUED),
        (Refused("http_400", "refused", "Look"), RunState.FAILED),
        (KeyError("Solskinn"), RunState.FAILED),
    ],
)
def test_how_a_run_ends_that_never_began_to_read(house: House, error: Exception, state: RunState) -> None:
    """A wrong configuration waits for a person, a system that is down is asked again; what is final has failed."""

    def none(_real: Connector) -> Iterator[Page]:
        raise error
        yield

    house.detours[VIGILO].pages_by = none
    result = house.pull(VIGILO)
    assert result.state is state
    assert result.remedy == str(error) or (result.error == "internal_error" and "Solskinn" not in result.remedy)
    assert house.rows(cursors) == []


# --- whose national ids ------------------------------------------------------------------------------------------


def _of_person(house: House, national_id: str) -> None:
    for person in house.world.persons.values():
        person["nationalIdresourceNumber"] = national_id


def _of_guardian(house: House, national_id: str) -> None:
    house.vigilo()["foresette"][0]["fodselsnummer"] = national_id


@pytest.mark.parametrize(
    ("give", "national_id", "reason", "place"),
    [
        (_of_person, LIVING, "national_id_wrong_environment", "subject.national_id"),
        (_of_guardian, LIVING, "national_id_wrong_environment", "guardians[].national_id"),
        (_of_person, "01815500000", "national_id_invalid", "subject.national_id"),
    ],
)
def test_a_sandbox_takes_no_living_person(
    house: House, give: Callable[[House, str], None], national_id: str, reason: str, place: str
) -> None:
    """A living person's number, of the child or of a guardian, and one that cannot be, are refused by place alone."""
    house.tell(ordinary_kindergarten)
    give(house, national_id)
    assert _counts(house) == {"read": 1, "quarantined": 1}
    (kept,) = house.rows(quarantine)
    assert (kept.reason, kept.place) == (reason, place)
    assert national_id not in str(kept)


def test_a_guardians_mistyped_number_stops_nothing(house: House) -> None:
    """Nothing rests on it, so that the child's log is taken in."""
    house.tell(ordinary_kindergarten)
    _of_guardian(house, "01815500000")
    assert _counts(house) == {"read": 1, "new": 1}


def test_production_takes_no_synthetic_person(house: House) -> None:
    """A test person among the living is refused; a living child with living guardians is taken in."""
    house.tenant = replace(house.tenant, synthetic_ids=False)
    house.tell(ordinary_kindergarten)
    assert _counts(house) == {"read": 1, "quarantined": 1}
    assert [row.reason for row in house.rows(quarantine)] == ["national_id_wrong_environment"]
    _of_person(house, LIVING)
    for guardian in house.vigilo()["foresette"]:
        guardian["fodselsnummer"] = LIVING
    assert _counts(house) == {"read": 1, "new": 1}


# --- put off, and gone on with ---------------------------------------------------------------------------------


def _again(house: House) -> Row[Any]:
    """Let a worker take up the one run, and give it as it stands then."""
    (run,) = house.rows(runs)
    house.cycle.pull(house.tenant.connections[VIGILO], run.run_id)
    return house.rows(runs)[0]


def test_a_run_that_meets_no_answer_is_put_off_longer_and_longer_and_then_fails(house: House) -> None:
    """Each attempt is counted, its pause is longer, and after the last the run has failed with the class of error."""

    def down(_real: Connector) -> Iterator[Page]:
        raise Unavailable("connection_refused", "cannot be reached", "Check base_url")
        yield

    house.detours[VIGILO].pages_by = down
    house.pull(VIGILO)
    for number, wait in enumerate(RUN_PAUSES, 1):
        (run,) = house.rows(runs)
        assert (run.state, run.attempts, run.error_class) == (RunState.QUEUED, number, "connection_refused")
        assert (run.due_at, run.ended_at) == (house.time.now() + wait, None)
        house.time.at += wait
        run = _again(house)
    assert (run.state, run.attempts, run.outcome) == (RunState.FAILED, 5, "connection_refused")
    put_off = [row.action for row in house.rows(events, subject_id=run.run_id)]
    assert put_off.count("hub:run:put_off") == 4


def test_a_run_is_due_when_the_system_wants_to_be_asked(house: House) -> None:
    """`Retry-After` outranks the run's own pause."""
    house.tell(ordinary_kindergarten)
    house.fault("vigilo", kind="status", status=429, retry_after=600)
    result = house.pull(VIGILO)
    (run,) = house.rows(runs)
    assert result.until == run.due_at == house.time.now() + timedelta(minutes=10)
    house.time.after(minutes=10)
    assert _again(house).state is RunState.DONE


def test_waiting_at_the_gate_is_no_attempt(house: House) -> None:
    """However often a run is not let through, it has all its attempts left."""
    until = MORNING + timedelta(minutes=5)

    def shut(_real: Connector) -> Iterator[Page]:
        raise Waiting("parked", "the system has asked for peace", "wait", until)
        yield

    house.detours[VIGILO].pages_by = shut
    house.pull(VIGILO)
    house.time.at = until
    run = _again(house)
    assert (run.state, run.attempts, run.error_class, run.due_at) == (RunState.QUEUED, 0, "parked", until)
    house.detours[VIGILO].pages_by = None
    assert (_again(house).state, _again(house).attempts) == (RunState.DONE, 1)


def test_a_run_goes_on_after_its_last_page(house: House) -> None:
    """Where the connector says how, what was stored is not read again; counts are those of the whole run."""
    house.tell_many(ordinary_kindergarten, 12)
    detour, lost = house.detours[VIGILO], [3]

    def pages(real: Connector) -> Iterator[Page]:
        begun = detour.began[-1]
        for number, page in enumerate(real.pages(), 1):
            if lost and number == lost[0]:
                lost.clear()
                raise Unavailable("connection_lost", "the connection broke", "try again")
            if number > int(begun or 0):
                yield replace(page, cursor=str(number))

    detour.pages_by = pages
    house.pull(VIGILO)
    (run,) = house.rows(runs)
    assert (run.cursor_before, run.cursor_after, run.counts["read"]) == (None, "2", 10)
    house.time.after(minutes=1)
    run = _again(house)
    assert detour.began == ["", "2"]
    assert (run.state, run.counts["read"], run.counts["new"], run.counts["unchanged"]) == (RunState.DONE, 12, 12, 0)
    assert run.cursor_after == house.time.now().isoformat()
    assert house.rows(proposals) == []


class Killed(BaseException):
    """The worker's process ends here."""


def test_a_page_that_breaks_off_leaves_nothing_of_itself(house: House) -> None:
    """Records, counts and the place to go on from are one: a worker that dies in a page leaves the one before it."""
    house.tell_many(ordinary_kindergarten, 9)

    class Dying:
        """A mapping in whose hands the worker dies at the second page."""

        def __init__(self, real: Any) -> None:
            self._real, self._read = real, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def read(self, tree: Tree) -> Any:
            self._read += 1
            if self._read == 8:
                raise Killed
            return self._real.read(tree)

    def pages(real: Connector) -> Iterator[Page]:
        for number, page in enumerate(real.pages(), 1):
            yield replace(page, cursor=str(number))

    house.detours[VIGILO].pages_by = pages
    house.settle(VIGILO, mapping=Dying(house.tenant.connections[VIGILO].mapping))
    with pytest.raises(Killed):
        house.pull(VIGILO)
    (run,) = house.rows(runs)
    assert (run.counts["read"], run.cursor_after, len(house.rows(records))) == (5, "1", 5)


def test_a_mistake_of_the_hub_ends_the_run_without_a_word_of_the_record(house: House) -> None:
    """The run has failed as an internal error with what it had counted; the exception's text stands nowhere."""
    house.tell_many(ordinary_kindergarten, 9)

    def stumble(real: Connector) -> Iterator[Page]:
        yield next(iter(real.pages()))
        raise KeyError("Solskinn Testbarn")

    house.detours[VIGILO].pages_by = stumble
    with capture_logs() as lines:
        result = house.pull(VIGILO)
    (run,) = house.rows(runs)
    assert (run.state, run.error_class) == (RunState.FAILED, "internal_error")
    assert run.counts["read"] == len(house.rows(records)) == 5
    assert "KeyError" in result.remedy
    assert "Solskinn" not in result.remedy
    assert [line["event"] for line in lines] == ["sync:run:internal_error"]


def test_a_page_that_was_overtaken_takes_nothing_back(house: House) -> None:
    """A page asked for before a change was delivered, and taken in after its receipt, does not undo the change."""
    house.tell(shared_level_2)
    house.sync()
    house.time.after(minutes=1)
    house.vigilo()["uro"][0]["skildring"] = "Skrive om i barnehagen."
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()

    def slow(real: Connector) -> Iterator[Page]:
        pages = list(real.pages())
        house.time.after(seconds=5)
        house.deliver()
        yield from pages

    house.detours[SAMSPILL].pages_by = slow
    assert house.pull(SAMSPILL).counts["changed"] == 0
    house.detours[SAMSPILL].pages_by = None
    for _ in range(2):
        house.time.after(minutes=1)
        house.sync()
    texts = [concern.text for concern in house.log_of("vl-000001").log.concerns]
    assert "Skrive om i barnehagen." in texts
    assert any("Skrive om i barnehagen." in each["text"] for each in house.samspill()["concerns"])


def test_two_files_about_one_log_are_both_read(house: House, tmp_path: Path) -> None:
    """A file is read once and moved away: the second of a run is taken in, however soon it follows the first."""
    house.tell(ordinary_kindergarten)
    house.pull(VIGILO)
    template = Template(payload("json", {}), lambda tree: str(tree["id"]))
    folder = Folder(Settings(folder=tmp_path, suffix=".json"), template, house.time.clock())
    folder.check()
    for number in (1, 2):
        house.vigilo()["uro"][0]["skildring"] = f"Skrive om {number} gonger."
        house.saved(house.vigilo())
        file = tmp_path / "in" / f"{number}.json"
        file.write_text(json.dumps(house.detours[VIGILO].real.fetch("vl-000001").tree), encoding="utf-8")
        os.utime(file, (number, number))  # it has lain there for long, so that it counts as whole

    def slow(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            house.time.after(seconds=5)
            yield page

    house.settle(VIGILO, connector=Detour(folder, pages_by=slow))
    assert _counts(house) == {"read": 2, "changed": 2}
    assert house.log_of("vl-000001").log.concerns[0].text == "Skrive om 2 gonger."
