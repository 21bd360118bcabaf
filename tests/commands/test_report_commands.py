"""`hub report` and `hub document` as people use them: a configuration and a store at hand, files and lines out."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from hub.commands.report import BadOption
from hub.commands.shared import CannotWrite, NoSuchLog, UnknownTenant
from hub.operate.opened import NotOpen
from hub.relaylog.codes import AddressProtection, ClosureReason, LogStatus, Part, Service, SignerRole
from hub.relaylog.model import Closure, Consent, RelayLog, Signer
from hub.store.events import NotACode
from hub.store.logs import LogStore
from hub.store.sealing import read_key_file
from hub.store.tables import DeliveryKind, DeliveryState
from hub.store.work import NewDelivery, WorkStore
from tests.commands.office import CONFIG, TENANT, Office, municipality
from tests.documents.worked import LOG_ID, consent, worked_log

PPT = f"{TENANT}/ppt"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality with one log, which one system was sent."""
    made = municipality(tmp_path, {"tenant.yaml": CONFIG})
    _save(made, worked_log())
    return made


def _save(office: Office, log: RelayLog) -> None:
    """Put a log in the store, and one delivery of it to PPT that has its receipt."""
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    work = WorkStore(TENANT, lambda: "made-id")
    with office.store() as db, db.write() as tx:
        store.save(tx, replace(store.new(log.id), log=log), NOW)
        work.add_delivery(tx, NewDelivery("d-1", PPT, log.id, DeliveryKind.UPDATE, b"", "", 1), NOW)
        work.mark_sending(tx, "d-1", NOW)
        work.end_delivery(tx, "d-1", DeliveryState.DONE, NOW)


def _save_again(office: Office, log: RelayLog) -> None:
    """Let the log in the store say something else."""
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    with office.store() as db, db.write() as tx:
        store.save(tx, replace(store.load(tx, log.id), log=log), NOW)


def test_a_summary_is_a_pdf_for_its_owner_and_an_event_without_the_purpose(office: Office) -> None:
    """Who and a code stand in the log of events; the purpose in the asker's words stands in no event."""
    out, why = office.folder / "oppsummering.pdf", "Vi ønskjer råd om leik."
    done = office.hub("document", LOG_ID, "--for", "ppt", "--purpose", why, "--out", str(out), "--who", "rektor-1")
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"%PDF-")
    assert out.stat().st_mode & 0o777 == 0o600
    assert office.openings() == [("rektor-1", LOG_ID, {"purpose": "summary"})]
    assert "leik" not in office.all_events()


def _moved(*consents: Consent, **changes: object) -> RelayLog:
    """Give the log as closed because the family moved to a municipality that does not exist."""
    closure = Closure(on=date(2026, 3, 2), reason=ClosureReason.MOVED, continues_as="Nyvik kommune")
    return worked_log(status=LogStatus.CLOSED, closure=closure, consents=consents, **changes)


def _copy(office: Office, out: Path) -> Result:
    asked = ("--for", "new_municipality", "--purpose", "Dei har flytta.", "--out", str(out), "--who", "rektor-1")
    return office.hub("document", LOG_ID, *asked)


def test_a_copy_for_a_new_municipality_needs_a_consent_from_after_the_move(office: Office) -> None:
    """With the old consents alone none is made; with a new one that names the municipality, a PDF and an event."""
    out, new = office.folder / "kopi.pdf", date(2026, 3, 9)
    old = consent(Service.EXTERNAL, Part.EDUCATION, recipient_unit="Nyvik kommune")
    _save_again(office, _moved(*worked_log().consents, old))
    refused = _copy(office, out)
    assert isinstance(refused.exception, NotOpen)
    assert "No consent from after the closing names the new municipality" in str(refused.exception)
    assert not out.exists()
    signed = (Signer(name="Solvår Testmor", role=SignerRole.MOTHER, on=new),)
    given = old.model_copy(update={"valid_from": new, "signed_by": signed})
    _save_again(office, _moved(old, given))
    done = _copy(office, out)
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"%PDF-")
    assert office.openings() == [("rektor-1", LOG_ID, {"purpose": "copy_for_new_municipality"})]
    assert "yvik" not in office.all_events()


def test_under_protection_no_copy_is_made_and_the_municipality_stands_nowhere(office: Office) -> None:
    """The answer is a special rule, whatever was consented to, and names no place."""
    new = date(2026, 3, 9)
    given = consent(Service.EXTERNAL, Part.EDUCATION, valid_from=new, signed_by=(), recipient_unit="Nyvik kommune")
    subject = worked_log().subject.model_copy(update={"address_protection": AddressProtection.CONFIDENTIAL})
    _save_again(office, _moved(given, subject=subject))
    out = office.folder / "kopi.pdf"
    refused = _copy(office, out)
    assert isinstance(refused.exception, NotOpen)
    assert "særskilt regel" in str(refused.exception)
    assert "yvik" not in f"{refused.exception}{refused.output}{office.all_events()}"
    assert not out.exists()


def test_who_must_be_a_user_id_or_nothing_is_made(office: Office) -> None:
    """A name as --who is refused before the file is written."""
    out = office.folder / "a.pdf"
    done = office.hub("document", LOG_ID, "--for", "ppt", "--purpose", "x", "--out", str(out), "--who", "Å Test")
    assert isinstance(done.exception, NotACode)
    assert not out.exists()
    assert office.openings() == []


def test_a_page_of_what_was_shared_is_a_pdf_or_text_by_its_ending(office: Office) -> None:
    """In the log's language where none is asked for; each making leaves an event."""
    for name, more in (("barn.pdf", ()), ("barn.txt", ()), ("child.txt", ("--language", "en"))):
        out = str(office.folder / name)
        done = office.hub("report", "shared", LOG_ID, "--for", "child", "--out", out, "--who", "it-1", *more)
        assert done.exit_code == 0, done.output
    assert (office.folder / "barn.pdf").read_bytes().startswith(b"%PDF-")
    assert "KVEN HAR FÅTT VITE KVA?" in (office.folder / "barn.txt").read_text("utf-8")
    assert "WHO HAS BEEN TOLD WHAT?" in (office.folder / "child.txt").read_text("utf-8")
    assert [data["purpose"] for _, _, data in office.openings()] == ["shared_child"] * 3
    wrong = office.hub("report", "shared", LOG_ID, "--for", "child", "--out", "x.docx", "--who", "it-1")
    assert isinstance(wrong.exception, BadOption)


def test_a_control_round_is_on_screen_csv_and_pdf(office: Office) -> None:
    """The unit goes by its configured id; the screen shows log ids and dates, and no one's name."""
    csv, pdf = office.folder / "kontroll.csv", office.folder / "kontroll.pdf"
    asked = (
        "--who",
        "leiar-1",
        "--unit",
        "tussebu",
        "--date",
        "2026-11-21",
        "--csv",
        str(csv),
        "--pdf",
        str(pdf),
        "--language",
        "nn",
    )
    done = office.hub("report", "control", *asked)
    assert done.exit_code == 0, done.output
    assert "Eining Tussebu barnehage, 2026-11-21" in done.output
    assert LOG_ID in done.output
    assert "Sjukmelding" in done.output
    assert "Testbarn" not in done.output
    assert "Tussebu barnehage;2026-11-21;overdue" in csv.read_text("utf-8-sig")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert office.openings() == []


def test_a_breach_lists_what_a_period_reached(office: Office) -> None:
    """Days are Norwegian and the last one counts; the connection is no longer configured, and that is told."""
    csv = office.folder / "brudd.csv"
    done = office.hub(
        "report", "breach", "--who", "pvo-1", "--from", "2026-11-21", "--to", "2026-11-21", "--csv", str(csv)
    )
    assert done.exit_code == 0, done.output
    assert "1 sendings, 1 logs, 1 children" in done.output
    assert "of 1 logs the persons are not known" in done.output
    assert f"{LOG_ID};d-1;{PPT};2026-11-21T09:00:00+00:00;received;;;unknown;;" in csv.read_text("utf-8-sig")
    before = office.hub("report", "breach", "--who", "pvo-1", "--from", "2026-11-20", "--to", "2026-11-21T09:59+01:00")
    assert "0 sendings" in before.output


@pytest.mark.parametrize(
    ("since", "until"), [("yesterday", "2026-11-21"), ("2026-11-21", "2026-11-20"), ("2026-11-21", "2026-13-01")]
)
def test_a_period_that_is_none_is_refused(office: Office, since: str, until: str) -> None:
    """The option is named, with what to write."""
    done = office.hub("report", "breach", "--who", "pvo-1", "--from", since, "--to", until)
    assert isinstance(done.exception, BadOption)
    assert "--" in str(done.exception)


def test_a_log_or_municipality_that_is_not_there_is_told_so(office: Office) -> None:
    """Without repeating what was asked for."""
    done = office.hub("report", "shared", "no-such", "--for", "child", "--out", "x.txt", "--who", "it-1")
    assert isinstance(done.exception, NoSuchLog)
    assert "no-such" not in str(done.exception)
    done = office.hub("report", "control", "--who", "leiar-1", "--unit", "x", "--tenant", "900001010")
    assert isinstance(done.exception, UnknownTenant)


def test_a_paper_is_never_left_open_to_others(office: Office) -> None:
    """A file that was there and open to all is the owner's alone afterwards; a missing folder is told."""
    out = office.folder / "gammel.txt"
    out.touch(0o644)
    asked = ("report", "shared", LOG_ID, "--for", "guardian", "--who", "it-1", "--out")
    assert office.hub(*asked, str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    missing = office.hub(*asked, str(office.folder / "nowhere" / "x.txt"))
    assert isinstance(missing.exception, CannotWrite)
    assert os.fspath(office.folder) not in str(missing.exception)
