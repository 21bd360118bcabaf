"""Archive: each closing is packaged once and handed over until there is proof; what a rule keeps waits for a person."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from hub.connectors.archive.folder import FolderArchive, Receipt
from hub.connectors.archive.port import ArchiveRefused, ArchiveUnavailable
from hub.documents.arkivmelding import ArchiveSettings
from hub.documents.package import Package
from hub.operate.unarchived import unarchived
from hub.relaylog.gates import Decider
from hub.relaylog.model import RelayLog
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import (
    Story,
    consent_withdrawn,
    kindergarten_goal_reached,
    ordinary_kindergarten,
    protected_confidential,
    protected_strict,
    shared_conflict,
    shared_level_2,
    violence,
)
from hub.store.database import Database
from hub.store.decisions import Who
from hub.store.leases import LEASE
from hub.store.tables import DeliveryState, HoldState, archived, conflicts, deliveries, holds, packages, proposals
from hub.sync.archive import PAUSES, Archivist
from hub.sync.decide import Decisions
from hub.sync.gate import pause, resume
from hub.sync.replay import replay_delivery
from hub.sync.rows import SyncRows
from tests.sync.house import ARCHIVE, SAMSPILL, VIGILO, House

Tree = dict[str, Any]


class Killed(BaseException):
    """The worker's process ends here."""


class Target:
    """An archive in front of the real one: what happens first, or instead."""

    def __init__(self, house: House, *before: BaseException | None, after: BaseException | None = None) -> None:
        self.real = FolderArchive(house.archive_folder, MUNICIPALITY_ORGNR, encrypt=None, clock=house.time.now)
        self.before, self.after = list(before), after
        self.delivered: list[tuple[str, int]] = []
        archive = house.tenant.archive
        assert archive
        house.tenant = replace(house.tenant, archive=replace(archive, target=self))

    def holds(self, delivery_id: str, proof: str) -> bool:
        """Look in the real one."""
        return self.real.holds(delivery_id, proof)

    def deliver(self, package: Package, delivery_id: str) -> Receipt:
        """Fail as told, else hand on."""
        error = self.before.pop(0) if self.before else None
        if error is not None:
            raise error
        self.delivered.append((delivery_id, package.revision))
        receipt = self.real.deliver(package, delivery_id)
        after, self.after = self.after, None
        if after is not None:
            raise after
        return receipt


def _bags(house: House) -> list[str]:
    return sorted(path.name for path in house.archive_folder.glob("*/*/*") if path.is_dir())


def _close(log: Tree) -> None:
    """Let the family close a log."""
    log["status"] = "AVSLUTTA"
    log["avslutning"] = {"dato": "20.11.2026", "arsak": "MAL_NADD", "grunngjeving": "Nådd.", "avgjortAv": "FORESETT"}


def _rewrite(house: House, text: str) -> None:
    """Let somebody correct the closing's explanation."""
    house.time.after(hours=1)
    house.vigilo()["avslutning"]["grunngjeving"] = text
    house.saved(house.vigilo())


def _waits(house: House) -> list[str]:
    return sorted(rule for connection, rule in house.holds() if connection == "folder")


def _to_look_at(house: House) -> list[str]:
    with house.db.read() as tx:
        return house.tenant.work.closed_unpackaged(tx)


def _told_of(house: House) -> list[tuple[bool, datetime]]:
    with house.db.read() as tx:
        return [(each.packaged, each.since) for each in unarchived(tx, MUNICIPALITY_ORGNR)]


# --- once --------------------------------------------------------------------------------------------------------


def test_a_closed_log_is_archived_once_with_proof(house: House) -> None:
    """One package, one bag, one proof; the package's bytes and the payload are gone, and the next cycle is silent."""
    house.tell(kindergarten_goal_reached, ordinary_kindergarten)
    (delivery_id,) = house.sync().archived
    assert _bags(house) == [delivery_id]
    (proof,), (package,), (row,) = house.rows(archived), house.rows(packages), house.rows(deliveries)
    assert (proof.delivery_id, proof.revision, proof.target) == (delivery_id, 1, ARCHIVE)
    assert proof.log_id == package.log_id == house.log_of("vl-000001").log_id
    assert proof.receipt_ref == row.receipt_ref
    assert len(proof.receipt_ref) == 64
    assert (row.state, row.sealed_payload, package.sealed_bytes) == (DeliveryState.DONE, None, None)
    house.time.after(days=1)
    assert house.sync().archived == []
    assert _bags(house) == [delivery_id]


def test_an_open_log_is_not_archived(house: House) -> None:
    """Only closing makes a package."""
    house.tell(ordinary_kindergarten)
    assert house.sync().archived == []
    assert house.rows(packages) == []


def test_a_closed_log_that_changed_is_another_revision(house: House) -> None:
    """The correction is archived beside the first closing, with the next number."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    _rewrite(house, "Målet er nådd, og familien er trygg.")
    assert len(house.sync().archived) == 1
    assert [row.revision for row in house.rows(packages)] == [1, 2]
    assert [row.revision for row in house.rows(archived)] == [1, 2]
    assert len(_bags(house)) == 2
    assert len({row.external_key for row in house.rows(packages)}) == 2


def test_saving_a_closed_log_as_it_was_makes_no_revision(house: House) -> None:
    """Another version and another time of change are not another content."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    house.time.after(days=1)
    house.saved(house.vigilo())
    house.vigilo()["steg"] = house.vigilo()["steg"]
    assert house.sync().archived == []
    assert len(house.rows(packages)) == 1
    assert _to_look_at(house) == []


def test_what_is_archived_is_not_looked_at_again(house: House) -> None:
    """Neither a package that has its proof nor one on its way is made out anew in each cycle; a correction is."""
    house.tell(kindergarten_goal_reached, shared_conflict)
    Target(house, ArchiveUnavailable("not_there", "not mounted", "mount it"))
    house.sync()
    assert _to_look_at(house) == []
    house.time.after(minutes=5)
    assert len(house.archive()) == 1
    assert _to_look_at(house) == []
    _rewrite(house, "Målet er nådd, og familien er trygg.")
    house.pull(VIGILO)
    assert _to_look_at(house) == [house.log_of("vl-000001").log_id]


def test_a_tenant_without_an_archive_archives_nothing(house: House) -> None:
    """Nothing is packaged as long as nobody has said where to."""
    house.tenant = replace(house.tenant, archive=None)
    house.tell(kindergarten_goal_reached)
    assert house.sync().archived == []
    assert house.rows(packages) == []


# --- what waits for the archivist --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "rule", "revealing"),
    [
        (violence, "archive_violence", True),
        (protected_strict, "archive_protected", True),
        (shared_conflict, "archive_conflict", False),
    ],
)
def test_what_a_rule_keeps_waits_for_the_archivist(house: House, story: Story, rule: str, *, revealing: bool) -> None:
    """Violence, strict protection and an open conflict hold the package until the archivist lets it go."""
    _closed_by_the_family(house, story)
    assert house.archive() == []
    assert _waits(house) == [rule]
    (hold,) = house.rows(holds, state=HoldState.OPEN, connection=ARCHIVE)
    assert (hold.addressed_to, hold.revealing) == (Decider.ARCHIVIST, revealing)
    assert house.archive() == []
    house.release(rule)
    assert len(house.archive()) == 1


@pytest.mark.parametrize(
    ("story", "rule"),
    [(violence, "archive_violence"), (protected_strict, "archive_protected"), (shared_conflict, "archive_conflict")],
)
def test_a_release_is_for_what_the_log_says_then(house: House, story: Story, rule: str) -> None:
    """A text that comes after the archivist has let the closing go is held anew, and not archived unseen."""
    _closed_by_the_family(house, story)
    house.archive()
    house.release(rule)
    _rewrite(house, "Skriven etter at arkivaren såg på han.")
    house.pull(VIGILO)
    assert house.archive() == []
    assert _waits(house) == [rule]
    house.release(rule)
    assert len(house.archive()) == 1


def _propose_guardian(house: House, key: str, protection: str) -> None:
    """Let the health station's system name a guardian whom nobody has confirmed yet."""
    house.time.after(hours=1)
    family = house.samspill()["family"]
    new = {"personId": key, "name": f"Tordenvær Testverge {key}", "nationalId": "", "addressProtection": protection}
    family.append({**deepcopy(family[0]), **new})
    house.saved(house.samspill())
    house.pull(SAMSPILL)


def test_a_proposed_guardian_who_is_protected_makes_the_closing_wait(house: House) -> None:
    """Whom nobody has confirmed is in no log, and yet the archivist is asked first, also after a refusal."""
    _closed_by_the_family(house, shared_level_2)
    _propose_guardian(house, "p-new", "strengt_fortrolig")
    assert not any(one.address_protection == "strictly_confidential" for one in _closed_log(house).guardians)
    assert house.archive() == []
    assert _waits(house) == ["archive_protected"]
    (hold,) = house.rows(holds, state=HoldState.OPEN, connection=ARCHIVE)
    assert (hold.addressed_to, hold.revealing) == (Decider.ARCHIVIST, True)
    (proposal,) = house.rows(proposals)
    Decisions(house.tenant).refuse(proposal.proposal_id, Who("p-1", "nobody of the family"))
    assert house.archive() == []
    house.release("archive_protected")
    assert len(house.archive()) == 1


def test_a_release_is_for_those_who_were_proposed_then(house: House) -> None:
    """A second one who is protected is a new question; what is proposed without protection is none."""
    _closed_by_the_family(house, shared_level_2)
    _propose_guardian(house, "p-new", "strengt_fortrolig")
    house.archive()
    house.release("archive_protected")
    _propose_guardian(house, "p-other", "strengt_fortrolig")
    assert house.archive() == []
    assert _waits(house) == ["archive_protected"]
    house.release("archive_protected")
    assert len(house.archive()) == 1


def test_a_proposed_guardian_without_protection_keeps_no_closing(house: House) -> None:
    """A question about who somebody is does not stand in the way of the archive."""
    _closed_by_the_family(house, shared_level_2)
    _propose_guardian(house, "p-new", "ingen")
    assert len(house.archive()) == 1


def _closed_log(house: House) -> RelayLog:
    return house.log_of("vl-000001").log


def test_a_release_in_spite_of_a_conflict_is_for_that_conflict(house: House) -> None:
    """When a system says something else again on the disputed place, the archivist is asked again."""
    _closed_by_the_family(house, shared_conflict)
    house.archive()
    house.release("archive_conflict")
    with house.db.write() as tx:
        tx.execute(conflicts.update().values(candidates_hash="0" * 64))
    assert house.archive() == []
    assert _waits(house) == ["archive_conflict"]


def _closed_by_the_family(house: House, story: Story) -> None:
    """Tell a story of both systems, and let the family close the log in one: that closes it everywhere."""
    house.tell(story)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    house.time.after(hours=1)
    _close(house.vigilo())
    house.saved(house.vigilo())
    house.pull(VIGILO)


def test_confidential_is_archived_without_asking(house: House) -> None:
    """A confidential address stops sending, and is no reason to keep the log from the archive."""
    _closed_by_the_family(house, protected_confidential)
    assert len(house.sync().archived) == 1


def test_a_withdrawn_consent_does_not_stop_archiving(house: House) -> None:
    """Archiving is a duty: nothing is sent to anybody, and the closed log is archived."""
    house.tell(consent_withdrawn, again=1)
    result = house.sync()
    assert len(result.archived) == 1
    assert result.sent == {}


def test_without_settings_a_closing_waits_and_says_so(house: House) -> None:
    """As long as the archivist has not stated the codes of today, a closed log is held, and archived afterwards."""
    archive = house.tenant.archive
    assert archive
    house.tenant = replace(house.tenant, archive=replace(archive, settings=lambda _day: None))
    house.tell(kindergarten_goal_reached)
    assert house.sync().archived == []
    assert _waits(house) == ["archive_not_whole"]
    house.tenant = replace(house.tenant, archive=archive)
    assert len(house.archive()) == 1
    assert _waits(house) == []


def test_a_closing_without_its_reason_waits(house: House) -> None:
    """A log that says closed, and not when or why, is not whole."""
    house.tell(kindergarten_goal_reached)
    house.vigilo()["avslutning"] = None
    assert house.sync().archived == []
    assert _waits(house) == ["archive_not_whole"]


def test_a_correction_that_is_taken_back_waits_for_nobody(house: House) -> None:
    """It is held and told of as not archived; when the log says again what the archive has, neither stands."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    ending = house.vigilo()["avslutning"]
    house.time.after(hours=1)
    house.vigilo()["avslutning"] = None
    house.saved(house.vigilo())
    assert house.sync().archived == []
    assert (_waits(house), _told_of(house)) == (["archive_not_whole"], [(False, house.time.now())])
    house.time.after(hours=1)
    house.vigilo()["avslutning"] = ending
    house.saved(house.vigilo())
    assert house.sync().archived == []
    assert (_waits(house), _told_of(house), len(house.rows(packages))) == ([], [], 1)


# --- an archive that is not there --------------------------------------------------------------------------------


def test_a_paused_archive_is_handed_nothing(house: House) -> None:
    """The package is made and waits, with all its attempts, until a person lets the archive go on."""
    house.tell(kindergarten_goal_reached)
    pause(house.tenant, ARCHIVE, "kari.it")
    assert house.sync().archived == []
    (row,) = house.rows(deliveries)
    assert (row.state, row.attempts, row.error_class) == (DeliveryState.READY, 0, "paused")
    assert (_bags(house), row.lease_owner) == ([], None)
    assert row.due_at > house.time.now()
    resume(house.tenant, ARCHIVE, "kari.it")
    assert house.archive() == [row.delivery_id]


def test_a_missing_folder_is_tried_later_and_then_archived(house: House) -> None:
    """A share that is not mounted makes nothing fail for good: the same package is delivered when it is back."""
    house.tell(kindergarten_goal_reached)
    house.archive_folder.rmdir()
    assert house.sync().archived == []
    (row,) = house.rows(deliveries)
    assert (row.state, row.error_class, row.lease_owner) == (DeliveryState.READY, "enoent", None)
    assert row.due_at == house.time.now() + PAUSES[0]
    assert house.rows(packages)[0].sealed_bytes
    house.archive_folder.mkdir()
    assert house.archive() == []
    house.time.at += PAUSES[0]
    assert house.archive() == [row.delivery_id]
    assert _bags(house) == [row.delivery_id]


def test_an_archive_that_stays_away_is_asked_less_and_less_often(house: House) -> None:
    """Each pause is longer than the one before, the last comes again and again, and nothing is given up."""
    house.tell(kindergarten_goal_reached)
    target = Target(house, *[ArchiveUnavailable("enoent", "not there", "mount it")] * 6)
    house.sync()
    waited = []
    for _ in range(6):
        (row,) = house.rows(deliveries)
        waited.append(row.due_at - house.time.now())
        house.time.at = row.due_at
        house.archive()
    assert waited == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert [revision for _, revision in target.delivered] == [1]


def test_a_correction_waits_for_the_closing_before_it(house: House) -> None:
    """While the archive is away a closed log may change: both revisions arrive, in their order."""
    house.tell(kindergarten_goal_reached)
    target = Target(house, *[ArchiveUnavailable("enoent", "not there", "mount it")] * 2)
    house.sync()
    _rewrite(house, "Målet er nådd, og familien er trygg.")
    assert house.sync().archived == []
    assert len(house.rows(packages)) == 1
    house.time.at += PAUSES[1]
    assert len(house.archive()) == 1
    assert len(house.archive()) == 1
    assert [revision for _, revision in target.delivered] == [1, 2]


def test_what_the_archive_refuses_fails_and_is_seen(house: House) -> None:
    """It ends as failed with the code, is not tried again by itself, and another child's log is archived."""
    house.tell(kindergarten_goal_reached, kindergarten_goal_reached)
    Target(house, ArchiveRefused("other_content", "there already", "look"))
    assert len(house.sync().archived) == 1
    (row,) = house.rows(deliveries, state=DeliveryState.FAILED)
    assert (row.error_class, row.sealed_payload) == ("other_content", None)
    house.time.after(days=1)
    assert house.archive() == []


def test_what_a_correction_has_overtaken_is_ended_by_a_replay(house: House) -> None:
    """The archive refused the closing and has its correction: of the first nothing goes, and it counts no longer."""
    house.tell(kindergarten_goal_reached)
    target = Target(house, ArchiveRefused("other_content", "there already", "look"))
    house.sync()
    _rewrite(house, "Målet er nådd, og familien er trygg.")
    assert len(house.sync().archived) == 1
    assert house.states(ARCHIVE) == ["failed", "done"]
    (failed,) = house.rows(deliveries, state=DeliveryState.FAILED)
    replay_delivery(house.tenant, failed.delivery_id, Who("p-1", "it has the correction"))
    assert house.archive() == []
    assert house.states(ARCHIVE) == ["superseded", "done"]
    assert [revision for _, revision in target.delivered] == [2]


def test_a_closing_that_is_held_is_waited_for(house: House) -> None:
    """A mistake while it was handed over is for a person, and its correction does not go before it."""
    house.tell(kindergarten_goal_reached)
    target = Target(house, KeyError("Solskinn Testbarn"))
    house.sync()
    _rewrite(house, "Målet er nådd, og familien er trygg.")
    assert house.sync().archived == []
    (held,) = house.rows(deliveries, connection=ARCHIVE)
    replay_delivery(house.tenant, held.delivery_id, Who("p-1", "it is mended"))
    assert len(house.archive()) == 1
    assert len(house.archive()) == 1
    assert [revision for _, revision in target.delivered] == [1, 2]


def test_a_worker_that_died_after_handing_over_delivers_the_same_again(house: House, db: Database) -> None:
    """Freed after its lease, the same package under the same id is acknowledged: one bag, one proof."""
    house.tell(kindergarten_goal_reached)
    target = Target(house, after=Killed())
    with pytest.raises(Killed):
        house.sync()
    (row,) = house.rows(deliveries)
    assert row.state is DeliveryState.SENDING
    house.time.at += LEASE
    rows = SyncRows(db, {MUNICIPALITY_ORGNR: house.tenant}, "worker-2")
    assert [task.row_id for task in rows.sweep(house.time.now())] == [row.delivery_id]
    assert house.archive() == [row.delivery_id]
    assert len(target.delivered) == 2
    assert _bags(house) == [row.delivery_id]
    assert len(house.rows(archived)) == 1


def test_a_worker_that_lost_its_delivery_writes_no_proof(house: House, db: Database) -> None:
    """It slept through its lease while handing over; whoever takes the row next gets the proof."""
    house.tell(kindergarten_goal_reached)
    target = Target(house)
    rows = SyncRows(db, {MUNICIPALITY_ORGNR: house.tenant}, "worker-2")
    deliver = target.real.deliver

    class Slow:
        def deliver(self, package: Package, delivery_id: str) -> Receipt:
            house.time.at += LEASE
            rows.sweep(house.time.now())
            return deliver(package, delivery_id)

        def holds(self, delivery_id: str, proof: str) -> bool:
            return target.real.holds(delivery_id, proof)

    archive = house.tenant.archive
    assert archive
    house.tenant = replace(house.tenant, archive=replace(archive, target=Slow()))
    assert house.sync().archived == []
    assert house.rows(archived) == []
    Target(house)
    assert len(house.archive()) == 1


def test_a_delivery_that_another_has_is_left_alone(house: House) -> None:
    """It is handed over once."""
    house.tell(kindergarten_goal_reached)
    (delivery_id,) = house.sync().archived
    archive = house.tenant.archive
    assert archive
    assert Archivist(house.tenant, archive, "worker-2").deliver(delivery_id) is None


def test_a_bag_that_was_removed_is_not_made_again(house: House) -> None:
    """What has proof is archived: whoever takes a bag away afterwards is asked by the archive, not by the hub."""
    house.tell(kindergarten_goal_reached)
    (delivery_id,) = house.sync().archived
    shutil.rmtree(next(house.archive_folder.glob(f"*/*/{delivery_id}")))
    house.time.at += timedelta(days=1)
    assert house.sync().archived == []


def test_a_mistake_in_one_package_holds_that_log_alone(house: House) -> None:
    """The other closed log is archived in the same cycle, and the first as soon as the mistake is mended."""
    house.tell(kindergarten_goal_reached, kindergarten_goal_reached)
    archive, stumbles = house.tenant.archive, [True]
    assert archive

    def settings(day: date) -> ArchiveSettings | None:
        if stumbles:
            stumbles.clear()
            raise KeyError("Solskinn Testbarn")
        return archive.settings(day)

    house.tenant = replace(house.tenant, archive=replace(archive, settings=settings))
    assert len(house.sync().archived) == 1
    assert _waits(house) == ["archive_internal_error"]
    assert len(house.archive()) == 1
    assert _waits(house) == []


def test_a_mistake_while_handing_over_holds_that_delivery(house: House) -> None:
    """It is held as an internal error with its package, and the other log's is handed over."""
    house.tell(kindergarten_goal_reached, kindergarten_goal_reached)
    Target(house, KeyError("Solskinn Testbarn"))
    assert len(house.sync().archived) == 1
    (row,) = [row for row in house.rows(deliveries, connection=ARCHIVE) if row.state is DeliveryState.HELD]
    assert row.error_class == "internal_error"
    assert row.sealed_payload
