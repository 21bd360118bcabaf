"""The archive control: a closed log that the archive has not confirmed is told of, in status and control round."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import update

from hub.operate.report import Reports
from hub.operate.unarchived import unarchived
from hub.relaylog.archiving import entry_key
from hub.relaylog.codes import LogStatus
from hub.store.database import Database
from hub.store.logs import LogStore
from hub.store.sealing import read_key_file
from hub.store.tables import DeliveryKind, DeliveryState, logs
from hub.store.work import NewDelivery, WorkStore
from tests.commands.office import CONFIG, TENANT, Office, municipality
from tests.documents.worked import worked_log

FOLDER = f"{TENANT}/folder"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=8)
ARCHIVE = "folder_is_archive: true\narchive: {folder: arkiv, alarm_after: 10d}\n"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality with an open log, and room for closed ones."""
    made = municipality(tmp_path, {"tenant.yaml": CONFIG})
    _save(made, "open-1", LONG_AGO, LogStatus.ACTIVE)
    return made


def _save(office: Office, log_id: str, at: datetime, status: LogStatus = LogStatus.CLOSED) -> None:
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    with office.store() as db, db.write() as tx:
        store.save(tx, replace(store.new(log_id), log=worked_log(id=log_id, status=status)), at)


def _packaged(
    office: Office, log_id: str, revision: int, at: datetime, *, proved: bool, periodic: bool = False
) -> None:
    """Make a package of a log; the archive has confirmed it where `proved`."""
    work = WorkStore(TENANT, lambda: f"p-{log_id}-{revision}")
    key = entry_key(log_id, revision, periodic=periodic)
    row: dict[str, object] = {"log_id": log_id, "revision": revision, "external_key": key, "sealed_bytes": b"x"}
    with office.store() as db, db.write() as tx:
        content = f"h{revision}"
        work.add_package(tx, {**row, "content_hash": content, "mapping_versions": {}}, at)
        new = NewDelivery(f"d-{log_id}-{revision}", FOLDER, log_id, DeliveryKind.ARCHIVE, b"x", content, 1)
        work.add_delivery(tx, new, at)
        work.end_delivery(tx, new.delivery_id, DeliveryState.DONE if proved else DeliveryState.FAILED, at)
        if proved:
            work.add_proof(tx, log_id, revision, FOLDER, f"d-{log_id}-{revision}", "proof", at)


def _waiting(office: Office) -> list[tuple[str, bool, datetime]]:
    with office.store() as db, db.read() as tx:
        return [(each.log_id, each.packaged, each.since) for each in unarchived(tx, TENANT)]


def test_closed_logs_wait_until_the_newest_package_is_confirmed(office: Office) -> None:
    """One without a package, one on its way, and one whose second closing is; not an open or an archived one."""
    for log_id in ("none", "sent", "again", "proved"):
        _save(office, log_id, LONG_AGO)
    _packaged(office, "sent", 1, NOW, proved=False)
    _packaged(office, "again", 1, LONG_AGO, proved=True)
    _packaged(office, "again", 2, LONG_AGO + timedelta(days=1), proved=False)
    _packaged(office, "proved", 1, LONG_AGO, proved=False)
    _packaged(office, "proved", 2, NOW, proved=True)
    later = LONG_AGO + timedelta(days=1)
    assert _waiting(office) == [("none", False, LONG_AGO), ("again", True, later), ("sent", True, NOW)]


def test_what_is_not_kept_waits_for_no_archive(office: Office) -> None:
    """A log that may be neither shared nor archived has no content here, and is no alarm."""
    _save(office, "gone", LONG_AGO)
    with office.store() as db, db.write() as tx:
        tx.execute(update(logs).where(logs.c.log_id == "gone").values(sealed_body=None))
    assert _waiting(office) == []


@pytest.mark.parametrize(
    ("alarms", "count"), [({}, 1), ({TENANT: timedelta(days=9)}, 0), ({TENANT: timedelta(hours=1)}, 2)]
)
def test_the_status_counts_those_that_waited_too_long(
    office: Office, alarms: Mapping[str, timedelta], count: int
) -> None:
    """Seven days where nothing is set, else what the municipality has set."""
    _save(office, "old", LONG_AGO)
    _save(office, "new", NOW - timedelta(days=1))
    with office.store() as db:
        assert Reports(db, alarms).status(TENANT, [], NOW).unarchived == count


def test_nothing_is_told_where_all_is_archived(db: Database) -> None:
    """An empty store has no alarm."""
    with closing(db):
        assert Reports(db).status(TENANT, [], NOW).unarchived == 0


def test_the_status_counts_closings_that_are_archived_once(office: Office) -> None:
    """A log with two confirmed closings is one; one that has only been archived while it went on is none."""
    _save(office, "again", LONG_AGO)
    _packaged(office, "open-1", 1, LONG_AGO, proved=True, periodic=True)
    _packaged(office, "again", 1, LONG_AGO, proved=True, periodic=True)
    _packaged(office, "again", 2, LONG_AGO, proved=True)
    _packaged(office, "again", 3, NOW, proved=True)
    with office.store() as db:
        assert Reports(db).status(TENANT, [], NOW).archived == 1


def test_the_status_names_packages_that_wait_for_a_person(office: Office) -> None:
    """Each with its error and the id by which it is replayed, and how many are on the way; otherwise not a word."""
    before = office.hub("status").output
    assert "archive:" not in before
    assert "not in the archive" not in before
    work = WorkStore(TENANT, iter("abc").__next__)
    ended = {"failed": DeliveryState.FAILED, "held": DeliveryState.HELD, "ready": None}
    for log_id, state in ended.items():
        _save(office, log_id, LONG_AGO, LogStatus.ACTIVE)
        new = NewDelivery(f"d-{log_id}", FOLDER, log_id, DeliveryKind.ARCHIVE, b"x", "h", 1)
        with office.store() as db, db.write() as tx:
            work.add_delivery(tx, new, NOW)
            if state:
                work.end_delivery(tx, new.delivery_id, state, NOW, error_class=f"error_{state}")
    told = office.hub("status").output
    assert "On the way to the archive: 1\n2 packages are not in the archive." in told
    assert "`hub inbox replay ID --who … --why …`:\n  d-failed error_failed\n  d-held error_held\n" in told


def test_status_and_control_round_tell_of_it(office: Office) -> None:
    """Both commands say it plainly, with the setting's own days and the log's id; nobody is named."""
    _save(office, "old", datetime.now(UTC) - timedelta(days=11))
    _save(office, "newer", datetime.now(UTC) - timedelta(days=8))
    asked = ("report", "control", "--who", "leiar-1", "--unit", "tussebu", "--language")
    words = {"nb": "arkivet har ikke kvittert: old", "nn": "arkivet har ikkje kvittert: old", "en": "confirmed it: old"}
    for language, told in words.items():
        assert told in office.hub(*asked, language).output
    assert "2 closed logs have waited too long for the archive's receipt" in office.hub("status").output
    (office.tenant / "tenant.yaml").write_text(CONFIG + ARCHIVE, encoding="utf-8")
    assert "1 closed logs have waited too long" in office.hub("status").output
    assert "Testbarn" not in office.hub(*asked, "nb").output


@pytest.mark.parametrize(
    ("language", "told", "since"),
    [
        ("nb", "Avsluttet, og arkivet har ikke kvittert", "Siden"),
        ("nn", "Avslutta, og arkivet har ikkje kvittert", "Sidan"),
    ],
)
def test_a_control_round_has_them_in_its_csv_and_its_pdf(office: Office, language: str, told: str, since: str) -> None:
    """A row with a code of its own and the Norwegian day, and a counted part of the paper; open logs are in neither."""
    late = datetime(2026, 11, 12, 23, 30, tzinfo=UTC)  # the thirteenth in Norway
    _save(office, "old", late)
    csv, pdf = office.folder / "kontroll.csv", office.folder / "kontroll.pdf"
    asked = ("--who", "leiar-1", "--unit", "tussebu", "--date", "2026-11-21", "--language", language)
    done = office.hub("report", "control", *asked, "--csv", str(csv), "--pdf", str(pdf))
    assert done.exit_code == 0, done.output
    rows = csv.read_text("utf-8-sig").splitlines()
    assert [row for row in rows if "not_archived" in row] == [
        "Tussebu barnehage;2026-11-21;not_archived;old;2026-11-13;1"
    ]
    text = " ".join(page.extract_text() for page in PdfReader(pdf).pages)
    counts, paper = (" ".join(part.split()) for part in text.rsplit(told, 1))
    assert f"{told} 1" in counts
    assert paper.startswith(f"Logg {since}")
    assert "old 2026-11-13 1" in paper
    assert "open-1" not in paper
    assert "Testbarn" not in text


def test_a_control_round_without_any_says_that_none_waits(office: Office) -> None:
    """The paper counts none and lists none, and the CSV has no such row."""
    csv, pdf = office.folder / "kontroll.csv", office.folder / "kontroll.pdf"
    done = office.hub(
        "report", "control", "--who", "leiar-1", "--unit", "tussebu", "--csv", str(csv), "--pdf", str(pdf)
    )
    assert done.exit_code == 0, done.output
    assert "not_archived" not in csv.read_text("utf-8-sig")
    text = " ".join(word for page in PdfReader(pdf).pages for word in page.extract_text().split())
    assert "arkivet har ikke kvittert 0" in text
    assert text.count("arkivet har ikke kvittert") == 1


def test_a_unit_with_closed_logs_alone_is_controlled_too(office: Office) -> None:
    """The last log of a unit is closed and the archive has not got it: the leader is told, not that there is none."""
    with office.store() as db, db.write() as tx:
        tx.execute(update(logs).where(logs.c.log_id == "open-1").values(status=LogStatus.CLOSED))
    done = office.hub("report", "control", "--who", "leiar-1", "--unit", "tussebu", "--language", "en")
    assert done.exit_code == 0, done.output
    assert "confirmed it: open-1" in done.output


def test_a_damaged_log_of_another_unit_stops_no_control(office: Office) -> None:
    """What does not open tells its unit's id alone; the unit that is asked about is controlled as ever."""
    _save(office, "broken", LONG_AGO)
    with office.store() as db, db.write() as tx:
        spoilt = {"sealed_body": b"x" * 40, "owning_unit_id": "another"}
        tx.execute(update(logs).where(logs.c.log_id == "broken").values(spoilt))
    done = office.hub("report", "control", "--who", "leiar-1", "--unit", "tussebu", "--language", "en")
    assert done.exit_code == 0, done.output
    assert "broken" not in done.output
