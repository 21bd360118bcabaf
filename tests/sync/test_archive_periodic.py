"""A log that goes on is archived at the municipality's interval: marked so, as a revision, and nothing ends by it."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import Engine, event

from hub.connectors.archive.port import ArchiveRefused, ArchiveUnavailable
from hub.operate.report import Reports
from hub.operate.unarchived import unarchived
from hub.relaylog.gates import Decider
from hub.relaylog.rights import AskedBy, Basis, RightsDecision, RightsKind, Ruling
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import Story, kindergarten_goal_reached, ordinary_kindergarten, protected_strict, violence
from hub.store.database import Database
from hub.store.decisions import Who
from hub.store.leases import DELIVERIES, claim
from hub.store.rights import Demand
from hub.store.tables import DeliveryState, HoldState, archived, deliveries, differences, events, holds, logs, packages
from hub.store.wipe import ShredList, proven
from hub.sync.archive import PAUSES
from hub.sync.decide import CannotDecide, Decisions
from hub.sync.reconcile import WHY
from hub.sync.replay import replay_delivery
from hub.sync.rights import CannotDo, RightsCases
from tests.sync.house import ARCHIVE, VIGILO, House
from tests.sync.test_archive import Target

OPENED = date(2026, 7, 29)
"""When the first log of each of these stories was opened."""

DUE = datetime(2027, 1, 29, 9, 0, tzinfo=UTC)
"""Half a year later."""

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WHO = Who("arkivar-1", "looked into it")


@pytest.fixture
def house(house: House) -> House:
    """Have logs that go on archived every six months."""
    return _every(house, 6)


def _every(house: House, months: int | None) -> House:
    archive = house.tenant.archive
    assert archive
    house.tenant = replace(house.tenant, archive=replace(archive, every_months=months))
    return house


def _write(house: House, number: int = 1) -> None:
    """Let somebody write something new in a log, a while later."""
    house.time.after(hours=1)
    log = house.vigilo(number)
    log["niva"] = 1 if log["niva"] == 0 else 0
    house.saved(log)
    house.pull(VIGILO)


def _end(house: House) -> None:
    house.time.after(hours=1)
    ending = {"dato": "30.01.2027", "arsak": "MAL_NADD", "grunngjeving": "Nådd.", "avgjortAv": "FORESETT"}
    house.vigilo().update(status="AVSLUTTA", avslutning=ending)
    house.saved(house.vigilo())
    house.pull(VIGILO)


def _keys(house: House) -> list[str]:
    """Give which archiving each package is, and its revision."""
    parts = [row.external_key.split(":") for row in house.rows(packages)]
    return [f"{kind} {revision}" for _, kind, _, revision in parts]


def _due(house: House, story: Story = ordinary_kindergarten) -> House:
    """Take a log in, and let the time pass until its first archiving is due."""
    house.tell(story)
    house.sync()
    house.time.at = DUE
    return house


# --- when --------------------------------------------------------------------------------------------------------


def test_a_log_that_goes_on_is_archived_six_months_after_its_opening(house: House) -> None:
    """Not the day before; on the day once with proof, and the next cycle is silent."""
    _due(house)
    assert house.log_of("vl-000001").log.opened_on == OPENED
    house.time.at -= DAY
    assert house.sync().archived == []
    house.time.at = DUE
    (delivery_id,) = house.sync().archived
    (proof,), (package,), (row,) = house.rows(archived), house.rows(packages), house.rows(deliveries)
    assert (proof.delivery_id, proof.revision, proof.target) == (delivery_id, 1, ARCHIVE)
    assert package.external_key == f"relay:periodisk:{package.log_id}:1"
    assert (row.state, row.sealed_payload, package.sealed_bytes) == (DeliveryState.DONE, None, None)
    assert house.sync().archived == []


def test_without_an_interval_only_closed_logs_are_archived(house: House) -> None:
    """That is how it is where the municipality has said nothing."""
    _due(_every(house, None))
    assert house.sync().archived == []
    assert house.rows(packages) == []


def test_what_has_not_changed_is_not_archived_again(house: House) -> None:
    """Years later the archive still has it as it stands; saved as it was, it has not changed either."""
    _due(house)
    house.sync()
    house.time.at += 800 * DAY
    assert house.sync().archived == []
    house.saved(house.vigilo())
    assert house.sync().archived == []
    assert len(house.rows(packages)) == 1


def test_a_change_waits_for_its_time_and_is_another_revision(house: House) -> None:
    """Counted from the archive's last proof: the day before six months no, on the day yes."""
    _due(house)
    house.sync()
    _write(house)
    assert house.archive() == []
    house.time.at = datetime(2027, 7, 28, 9, 0, tzinfo=UTC)
    assert house.sync().archived == []
    house.time.at += DAY
    assert len(house.sync().archived) == 1
    assert _keys(house) == ["periodisk 1", "periodisk 2"]
    assert [row.revision for row in house.rows(archived)] == [1, 2]


def test_a_log_with_no_day_of_opening_is_counted_from_when_it_came(house: House) -> None:
    """It was first read on 21 November, and is due on 21 May, as the day is in Norway."""
    house.tell(ordinary_kindergarten)
    house.vigilo()["oppretta"] = None
    house.sync()
    assert house.log_of("vl-000001").log.opened_on is None
    house.time.at = datetime(2027, 5, 20, 21, 59, tzinfo=UTC)
    assert house.archive() == []
    house.time.after(minutes=1)
    assert len(house.archive()) == 1


@pytest.mark.parametrize(("status", "number"), [("PAUSE", 1), ("VENTAR_SAMTYKKE", 0)])
def test_what_has_begun_and_not_ended_goes_on(house: House, status: str, number: int) -> None:
    """A log on pause is archived too; one that still waits for a consent has not begun."""
    house.tell(ordinary_kindergarten)
    house.vigilo()["status"] = status
    house.sync()
    house.time.at = DUE
    assert len(house.sync().archived) == number


def test_a_closed_log_that_goes_on_is_counted_from_its_closing(house: House) -> None:
    """Opened anew and changed it is a periodic revision half a year after the closing, and its end is one more."""
    house.tell(kindergarten_goal_reached)
    house.vigilo()["avslutning"]["avgjortAv"] = "STAFETTHALDAR"  # what the family ended no system opens again
    house.sync()
    house.time.at = DUE
    house.vigilo().update(status="AKTIV", avslutning=None)
    _write(house)
    assert house.archive() == []
    house.time.at = datetime(2027, 5, 21, 9, 0, tzinfo=UTC)
    assert len(house.archive()) == 1
    _end(house)
    assert len(house.archive()) == 1
    assert _keys(house) == ["avslutning 1", "periodisk 2", "avslutning 3"]


# --- what it is --------------------------------------------------------------------------------------------------


def test_the_log_stays_active(house: House) -> None:
    """It is what it was, says nothing of an end, and what is written afterwards is taken in as ever."""
    _due(house)
    house.sync()
    before = house.log_of("vl-000001")
    _write(house)
    after = house.log_of("vl-000001")
    assert (after.log.status, after.log.closure) == ("active", None)
    assert after.log.level != before.log.level
    assert house.rows(events, action="hub:log:reopened") == []


def test_the_papers_say_that_it_is_periodic(house: House) -> None:
    """Below its title the document says so, with the day; the message's entry has the same words, and no end."""
    _due(house)
    (delivery_id,) = house.sync().archived
    (bag,) = house.archive_folder.glob(f"*/*/{delivery_id}")
    pdf = PdfReader(io.BytesIO((bag / "data/dokumenter/001.pdf").read_bytes()))
    text = " ".join(pdf.pages[0].extract_text().split())
    assert "Periodisk arkivering av stafettlogg, 29. januar 2027" in text
    message = (bag / "data/arkivmelding.xml").read_text("utf-8")
    assert "<tittel>Periodisk arkivering av stafettlogg - " in message
    assert "<dokumentetsDato>2027-01-29</dokumentetsDato>" in message
    assert "vslut" not in message


def test_trace_tells_of_it(house: House) -> None:
    """The package, the delivery and the proof stand among what happened to the log; a closing's package is told so."""
    _due(house)
    house.sync()
    _end(house)
    house.archive()
    (one, *_) = house.rows(logs)
    told = [line.what for line in Reports(house.db).trace(MUNICIPALITY_ORGNR, one.log_id)]
    made = [what for what in told if what.startswith("a package for the archive was made")]
    periodic = "a package for the archive was made, at the municipality's interval: the log goes on"
    assert made == [periodic, "a package for the archive was made"]
    assert told.count("the archive has proved that it has the package") == 2


# --- what stops it -----------------------------------------------------------------------------------------------


def _waits(house: House) -> list[str]:
    return sorted(rule for connection, rule in house.holds() if connection == "folder")


@pytest.mark.parametrize(("story", "rule"), [(violence, "archive_violence"), (protected_strict, "archive_protected")])
def test_what_keeps_a_closing_keeps_a_log_that_goes_on(house: House, story: Story, rule: str) -> None:
    """The archivist is asked, once; let go it is archived, and a text that comes later is asked about anew."""
    _due(house, story)
    assert house.archive() == []
    assert _waits(house) == [rule]
    (hold,) = house.rows(holds, state=HoldState.OPEN, connection=ARCHIVE)
    assert hold.addressed_to == Decider.ARCHIVIST
    assert house.archive() == []
    house.release(rule)
    assert len(house.archive()) == 1
    _write(house)
    house.time.at += 190 * DAY
    assert house.archive() == []
    assert _waits(house) == [rule]


def test_without_settings_it_waits_too(house: House) -> None:
    """As long as the archivist has not stated the codes, a log that goes on is held like a closed one."""
    archive = house.tenant.archive
    assert archive
    house.tenant = replace(house.tenant, archive=replace(archive, settings=lambda _day: None))
    _due(house)
    assert house.archive() == []
    assert _waits(house) == ["archive_not_whole"]
    house.tenant = replace(house.tenant, archive=archive)
    assert len(house.archive()) == 1
    assert _waits(house) == []


def _restrict(house: House, cases: RightsCases) -> str:
    log_id = house.log_of("vl-000001").log_id
    demand = Demand(RightsKind.RESTRICTION, log_id, AskedBy.GUARDIAN, house.time.now().date(), "Vent.")
    return cases.open(demand, "haldar-1")


def test_restricted_use_keeps_a_log_that_goes_on(house: House, tmp_path: Path) -> None:
    """It waits for the archivist, and for no other reason goes when the demand is refused."""
    _due(house)
    cases = RightsCases(house.tenant, ShredList(tmp_path / "shredded"))
    case_id = _restrict(house, cases)
    assert house.archive() == []
    assert _waits(house) == ["archive_restricted"]
    (hold,) = house.rows(holds, state=HoldState.OPEN, connection=ARCHIVE)
    assert (hold.addressed_to, hold.revealing) == (Decider.ARCHIVIST, False)
    cases.decide(case_id, Ruling(RightsDecision.REFUSED, Basis.RESTRICTION, "Opplysningane er rette.", "leiar-1"))
    assert len(house.archive()) == 1
    assert _waits(house) == []


def test_restricted_use_may_be_let_go_by_the_archivist(house: House, tmp_path: Path) -> None:
    """Who is asked can answer: it is archived as the log stands then."""
    _due(house)
    _restrict(house, RightsCases(house.tenant, ShredList(tmp_path / "shredded")))
    house.archive()
    (hold,) = house.rows(holds, state=HoldState.OPEN, connection=ARCHIVE)
    Decisions(house.tenant).release(hold.hold_id, WHO)
    assert len(house.archive()) == 1


def test_a_package_from_before_a_restriction_waits(house: House, tmp_path: Path) -> None:
    """The archive was away when it was made: restricted since, it is not handed over until that is lifted."""
    _due(house)
    Target(house, AWAY)
    assert house.archive() == []
    house.time.after(minutes=1)
    cases = RightsCases(house.tenant, ShredList(tmp_path / "shredded"))
    case_id = _restrict(house, cases)
    house.time.after(hours=2)
    assert house.archive() == []
    (row,) = house.rows(deliveries)
    assert (row.state, row.attempts, row.error_class) == (DeliveryState.READY, 1, "archive_restricted")
    cases.decide(case_id, Ruling(RightsDecision.REFUSED, Basis.LIFTED, "Kan brukes igjen", "owner-1"))
    house.time.after(hours=2)
    assert len(house.archive()) == 1


def test_a_package_from_before_a_restriction_waits_also_when_it_is_tried_again(house: House, tmp_path: Path) -> None:
    """Refused by the archive, restricted, then asked for again: the delivery is new, what it brings is not."""
    _due(house)
    Target(house, REFUSED)
    assert house.archive() == []
    (refused,) = house.rows(deliveries, state=DeliveryState.FAILED)
    house.time.after(minutes=1)
    cases = RightsCases(house.tenant, ShredList(tmp_path / "shredded"))
    case_id = _restrict(house, cases)
    house.time.after(minutes=1)
    replay_delivery(house.tenant, refused.delivery_id, WHO)
    assert house.archive() == []
    (row,) = house.rows(deliveries, state=DeliveryState.READY)
    assert (row.attempts, row.error_class) == (0, "archive_restricted")
    cases.decide(case_id, Ruling(RightsDecision.REFUSED, Basis.LIFTED, "Kan brukes igjen", "owner-1"))
    house.time.after(hours=2)
    assert len(house.archive()) == 1


def test_restricted_use_keeps_no_closing(house: House, tmp_path: Path) -> None:
    """Held back while it went on, the log is archived when it ends: that is a duty."""
    _due(house)
    _restrict(house, RightsCases(house.tenant, ShredList(tmp_path / "shredded")))
    assert house.archive() == []
    _end(house)
    assert len(house.archive()) == 1
    assert (_keys(house), _waits(house)) == (["avslutning 1"], [])


@pytest.mark.parametrize("months", [None, 12])
def test_what_is_not_due_any_more_is_held_back_no_longer(house: House, months: int | None) -> None:
    """The interval is taken away or made longer: nobody is asked about what is not to happen."""
    _due(house, violence)
    house.archive()
    assert _waits(house) == ["archive_violence"]
    _every(house, months)
    assert house.archive() == []
    assert _waits(house) == []


def test_what_is_archived_already_is_held_back_no_longer(house: House) -> None:
    """Held for a change that was then taken back, the log is as the archive has it, and nobody is asked."""
    _due(house)
    house.sync()
    archive = house.tenant.archive
    assert archive
    house.tenant = replace(house.tenant, archive=replace(archive, settings=lambda _day: None))
    house.time.at += 190 * DAY
    _write(house)
    assert house.archive() == []
    assert _waits(house) == ["archive_not_whole"]
    _write(house)
    assert house.archive() == []
    assert (_waits(house), _keys(house)) == ([], ["periodisk 1"])


# --- what becomes of it ------------------------------------------------------------------------------------------


AWAY = ArchiveUnavailable("enoent", "not there", "mount it")
REFUSED = ArchiveRefused("other_content", "there already", "look")
MISTAKE = KeyError("Solskinn Testbarn")


def test_an_archive_that_is_away_gets_it_later(house: House) -> None:
    """The same package is tried again after a pause."""
    _due(house)
    target = Target(house, AWAY, AWAY)
    assert house.archive() == []
    house.time.at += PAUSES[0]
    assert house.archive() == []
    house.time.at += PAUSES[1]
    assert len(house.archive()) == 1
    assert [revision for _, revision in target.delivered] == [1]


@pytest.mark.parametrize(("error", "state"), [(AWAY, "ready"), (REFUSED, "failed"), (MISTAKE, "held")])
def test_what_is_stuck_gives_way_to_the_end(house: House, error: Exception, state: str) -> None:
    """The closing is archived, and the one before it neither stands in the status nor goes again."""
    _due(house)
    target = Target(house, error)
    house.archive()
    (stuck,) = house.rows(deliveries, connection=ARCHIVE)
    assert stuck.state == state
    _end(house)
    assert len(house.archive()) == 1
    assert house.states(ARCHIVE) == ["superseded", "done"]
    assert len(house.rows(events, action="hub:delivery:superseded", subject_id=stuck.delivery_id)) == 1
    assert [revision for _, revision in target.delivered] == [2]
    status = Reports(house.db).status(MUNICIPALITY_ORGNR, [], house.time.now())
    assert (status.archive_failed, status.archiving, status.archive_stuck, status.archived) == (0, 0, {}, 1)
    with pytest.raises(CannotDecide, match="is superseded"):
        replay_delivery(house.tenant, stuck.delivery_id, WHO)


def test_what_a_worker_has_does_not_give_way(house: House) -> None:
    """The end waits as long as somebody may be handing the one before it over: they arrive in their order."""
    _due(house)
    target = Target(house, AWAY)
    house.archive()
    (row,) = house.rows(deliveries, connection=ARCHIVE)
    house.time.at += PAUSES[0]
    now = house.time.now()
    with house.db.write() as tx:
        assert claim(tx, DELIVERIES, row.delivery_id, "worker-2", now, now + 2 * HOUR)
    _end(house)
    assert house.archive() == []
    assert _keys(house) == ["periodisk 1"]
    house.time.at += HOUR
    assert len(house.archive()) == 1
    assert len(house.archive()) == 1
    assert [revision for _, revision in target.delivered] == [1, 2]


@pytest.mark.parametrize("error", [AWAY, REFUSED, MISTAKE])
def test_what_is_stuck_counts_for_the_interval(house: House, error: Exception) -> None:
    """However often the log changes, the next is made six months after the one that is stuck, in its place."""
    _due(house)
    target = Target(house, *[error] * 5)
    house.archive()
    for _ in range(3):
        _write(house)
        assert house.archive() == []
    assert _keys(house) == ["periodisk 1"]
    target.before.clear()
    with house.db.write() as tx:  # nobody tries again
        tx.execute(deliveries.update().values(due_at=DUE + 300 * DAY))
    house.time.at = datetime(2027, 7, 28, 9, 0, tzinfo=UTC)
    assert house.archive() == []
    house.time.at += DAY
    assert len(house.archive()) == 1
    assert (_keys(house), house.states(ARCHIVE)) == (["periodisk 1", "periodisk 2"], ["superseded", "done"])


@pytest.mark.parametrize("error", [AWAY, REFUSED, MISTAKE])
def test_what_is_stuck_hides_no_end_that_never_came(house: House, error: Exception) -> None:
    """The nightly count misses a closing that nothing is made of, whatever became of the one before it."""
    _due(house)
    Target(house, error)
    house.archive()
    _end(house)
    assert _not_archived(house) == ["not_archived"]
    house.archive()
    assert _not_archived(house) == []


def test_what_the_archive_refuses_is_for_a_person(house: House) -> None:
    """It is not tried again by itself and stands in the status as failed; another log is archived."""
    _due(house)
    Target(house, ArchiveRefused("other_content", "there already", "look"))
    assert house.archive() == []
    (row,) = house.rows(deliveries, state=DeliveryState.FAILED)
    house.time.at += DAY
    assert house.archive() == []
    house.tell(ordinary_kindergarten)  # opened so long ago that it is due when it is first read
    assert len(house.sync().archived) == 1
    assert Reports(house.db).status(MUNICIPALITY_ORGNR, [], house.time.now()).archive_failed == 1
    assert row.error_class == "other_content"


def _may_be_wiped(house: House) -> list[str]:
    with house.db.read() as tx:
        return proven(tx, MUNICIPALITY_ORGNR, [ARCHIVE], house.time.now())


def _alarms(house: House) -> list[tuple[bool, datetime]]:
    with house.db.read() as tx:
        return [(each.packaged, each.since) for each in unarchived(tx, MUNICIPALITY_ORGNR)]


def _not_archived(house: House) -> list[str]:
    house.time.after(days=2)
    house.cycle.pull_by_hand(house.tenant.connections[VIGILO], f"count-{house.time.now()}", why=WHY)
    return [str(row.kind) for row in house.rows(differences, state="open")]


def test_its_proof_is_no_reason_to_wipe_or_to_be_told_of(house: House) -> None:
    """However long ago the archive got an active log, it is neither wiped nor waited for."""
    _due(house)
    house.sync()
    house.time.at += 400 * DAY
    assert (_may_be_wiped(house), _alarms(house)) == ([], [])


def test_its_proof_is_not_that_of_the_end(house: House) -> None:
    """Closed and kept by the archivist, the log is told of and not wiped; archived as closed, it is the other way."""
    _due(house, violence)
    house.archive()
    house.release("archive_violence")
    assert len(house.archive()) == 1
    _end(house)
    ended = house.time.now()
    assert house.archive() == []
    assert (_alarms(house), _not_archived(house)) == ([(False, ended)], [])
    with house.db.write() as tx:
        tx.execute(holds.delete())  # as if nothing waited
    assert (_may_be_wiped(house), _not_archived(house)) == ([], ["not_archived"])
    house.archive()
    house.release("archive_violence")
    assert len(house.archive()) == 1
    assert (len(house.rows(archived)), _alarms(house), _not_archived(house)) == (2, [], [])
    with house.db.write() as tx:
        tx.execute(holds.delete())
        tx.execute(differences.delete())
    assert len(_may_be_wiped(house)) == 1


def test_its_proof_does_not_end_the_duty_to_archive(house: House, tmp_path: Path) -> None:
    """A log that goes on is not deleted because somebody asks, though the archive has it as it stands."""
    _due(house)
    house.sync()
    log_id = house.log_of("vl-000001").log_id
    cases = RightsCases(house.tenant, ShredList(tmp_path / "shredded"))
    case_id = cases.open(Demand(RightsKind.DELETION, log_id, AskedBy.GUARDIAN, DUE.date(), "Slett."), "haldar-1")
    ruling = Ruling(RightsDecision.GRANTED, Basis.DELETION, "Vilkåra er oppfylte.", "leiar-1")
    with pytest.raises(CannotDo, match="must be archived"):
        cases.decide(case_id, ruling)


# --- what it costs -----------------------------------------------------------------------------------------------


def test_what_is_due_is_found_by_indexes(house: House, db: Database, path: Path) -> None:
    """The question goes through the municipality's open logs alone, and finds what stands about each by its id."""
    asked: list[tuple[str, Any]] = []

    def told(*about: Any) -> None:
        asked.append((about[2], about[3]))

    event.listen(Engine, "before_cursor_execute", told)
    try:
        with db.read() as tx:
            house.tenant.work.periodically_due(tx, ARCHIVE, OPENED, DUE)
    finally:
        event.remove(Engine, "before_cursor_execute", told)
    ((statement, given),) = [each for each in asked if "archived_at" in each[0]]
    with closing(sqlite3.connect(path)) as file:
        plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {statement}", given)]
    looks = [line for line in plan if line.startswith(("SEARCH", "SCAN"))]
    assert looks[0] == "SEARCH logs USING INDEX ix_logs_tenant_status (tenant=? AND status=?)"
    assert len(looks) >= 4
    assert all("log_id=?" in line for line in looks[1:]), plan


def test_what_is_in_its_package_is_not_even_opened(house: House) -> None:
    """Long after its last archiving a log that has not changed is not among those that are due."""
    _due(house)
    house.sync()
    house.time.at += 400 * DAY
    assert _ask(house) == []
    _write(house)
    assert len(_ask(house)) == 1


def _ask(house: House) -> list[str]:
    now = house.time.now()
    with house.db.read() as tx:
        return house.tenant.work.periodically_due(tx, ARCHIVE, now.date(), now)
