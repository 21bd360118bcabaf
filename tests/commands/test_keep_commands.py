"""Keys, backups, wiping, the audit trail and roles as people use them: a configuration and a store, lines out."""

from __future__ import annotations

import base64
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from hub.bootstrap import open_hub, read_settings, system_clock
from hub.cli import app
from hub.commands.keys import NoKeyFile
from hub.commands.report import BadOption
from hub.operate.logging import configure_logging
from hub.operate.roles import NotAllowed
from hub.relaylog.codes import LogStatus
from hub.service.serve import serve_until_stopped
from hub.store.backup import BackupFailed
from hub.store.database import open_database
from hub.store.events import verify
from hub.store.logs import LogStore
from hub.store.rotation import RotationRefused, in_use
from hub.store.sealing import Shredded, read_key_file
from hub.store.tables import events
from tests.commands.office import CONFIG, TENANT, Office, municipality
from tests.documents.worked import LOG_ID, worked_log

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CHILD = "10915596784"  # synthetic
ROLES = """\
- {user: leiar-1, role: unit_leader, units: [tussebu], parts: [health, child_welfare], valid_from: 2020-01-01, granted_by: k-1}
- {user: leiar-2, role: unit_leader, units: [tussebu], valid_from: 2020-01-01, granted_by: k-1}
- {user: pvo-1, role: data_protection_officer, valid_from: 2020-01-01, granted_by: k-1}
- {user: it-1, role: operator, valid_from: 2020-01-01, granted_by: k-1}
"""  # noqa: E501 - one grant a line


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality with one log, one draft that nobody may share, and no roles."""
    made = municipality(tmp_path, {"tenant.yaml": CONFIG})
    store = LogStore(read_key_file(tmp_path / "key.json", TENANT))
    log = worked_log()
    known = log.model_copy(update={"subject": log.subject.model_copy(update={"national_id": CHILD})})
    draft = known.model_copy(update={"id": "draft-1", "status": LogStatus.DRAFT, "consents": ()})
    with made.store() as db, db.write() as tx:
        for each in (known, draft):
            store.save(tx, replace(store.new(each.id), log=each), NOW)
    return made


def _roles(office: Office) -> None:
    (office.tenant / "roles.yaml").write_text(ROLES, encoding="utf-8")


def _well(done: Result) -> str:
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_keys_are_rotated_and_the_old_version_waits(office: Office) -> None:
    """Every data key is wrapped by the new version at once; the old one is not taken out within the hour."""
    assert "2 data keys are wrapped by version 2" in _well(office.hub("keys", "rotate", TENANT, "--who", "it-1"))
    assert isinstance(office.hub("keys", "retire", TENANT, "--who", "it-1").exception, RotationRefused)
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    with office.store() as db, db.read() as tx:
        assert store.load(tx, LOG_ID).log.subject.national_id == CHILD
    assert isinstance(office.hub("keys", "rotate", "900001010", "--who", "it-1").exception, NoKeyFile)


def test_keys_may_come_from_the_environment(office: Office) -> None:
    """The hub works with a key file's content as a secret; to rotate, the secret's `current` is what wraps."""
    _well(office.hub("keys", "rotate", TENANT, "--who", "it-1"))
    path = office.tenant / "tenant.yaml"
    path.write_text(CONFIG.replace("key_file: ${env:KEY_FILE}", "key: ${env:KEY_TEXT}"), encoding="utf-8")
    text = base64.b64encode((office.folder / "key.json").read_bytes()).decode()
    environ = {"KEY_TEXT": text, "DATA": str(office.folder), "COLUMNS": "250"}
    runner, config = CliRunner(env=environ), ["--config", str(office.folder / "config")]
    done = runner.invoke(app, ["keys", "rotate", TENANT, "--who", "it-1", *config])
    assert "0 data keys are wrapped by version 2" in _well(done)
    done = runner.invoke(app, ["keys", "retire", TENANT, "--who", "it-1", *config])
    assert isinstance(done.exception, NoKeyFile)


def test_a_backup_is_made_and_restored_without_what_was_wiped_since(office: Office) -> None:
    """What was shredded after the backup is not in the restored store; the rest opens, and the target must be empty."""
    private, public, file = (str(office.folder / name) for name in ("b.key", "b.pub", "b.backup"))
    _well(CliRunner().invoke(app, ["keys", "backup", private, public]))
    assert "Made" in _well(office.hub("backup", "--to", file, "--public-key", public, "--who", "it-1"))
    _well(office.hub("wipe", "--who", "it-1"))
    to = f"sqlite:///{office.folder / 'back.db'}"
    asked = ("restore", "--from", file, "--private-key", private, "--to", to)
    assert "1 logs were shredded again" in _well(office.hub(*asked))
    assert isinstance(office.hub(*asked).exception, BackupFailed)
    store = LogStore(read_key_file(office.folder / "key.json", TENANT))
    with closing(open_database(to)) as db, db.read() as tx:
        assert store.load(tx, LOG_ID).log.subject.national_id == CHILD
        with pytest.raises(Shredded):
            store.load(tx, "draft-1")


def test_wiping_asks_for_the_term_and_drops_what_may_not_be_kept(office: Office) -> None:
    """A dry run changes nothing; the draft without consent goes, and archived logs stay until a term is written."""
    would = _well(office.hub("wipe", "--who", "it-1", "--dry-run"))
    assert "log draft-1: would be wiped, may be neither shared nor archived" in would
    done = _well(office.hub("wipe", "--who", "it-1"))
    assert "log draft-1: wiped" in done
    assert "archived logs stay. Decide for how long, and write `wipe_after: 90d`" in done
    assert "draft-1" not in _well(office.hub("wipe", "--who", "it-1"))
    with office.store() as db, db.read() as tx:
        assert in_use(tx, TENANT) == {1: 1}


def test_the_audit_trail_is_verified(office: Office) -> None:
    """A whole chain is said to be whole and by how many heads; a changed event is named, and the exit code is 1."""
    _well(office.hub("keys", "rotate", TENANT, "--who", "it-1"))
    assert "no head" in _well(office.hub("audit", "verify"))
    _well(office.hub("audit", "chain"))
    assert f"{TENANT}: whole, held against 1 heads" in _well(office.hub("audit", "verify"))
    with office.store() as db, db.write() as tx:
        tx.execute(update(events).where(events.c.position == 1).values(actor="nobody"))
    done = office.hub("audit", "verify", "--dir", str(office.folder / "heads"))
    assert (done.exit_code, f"{TENANT}: event 1 was changed" in done.output) == (1, True)


def test_a_running_hub_chains_what_it_wrote_before_it_stops(office: Office) -> None:
    """A hub that is told to stop leaves no event unchained, and the head of the day beside the store."""
    _well(office.hub("keys", "rotate", TENANT, "--who", "it-1"))
    environ = {"KEY_FILE": str(office.folder / "key.json"), "DATA": str(office.folder)}
    stop = Event()
    stop.set()
    configure_logging("sandbox", "error", sys.stderr)
    with open_hub(read_settings(office.folder / "config", environ), system_clock()) as hub:
        serve_until_stopped(hub, 1, stop)
        with hub.db.read() as tx:
            assert tx.execute(select(events).where(events.c.position.is_(None))).all() == []
        assert verify(hub.db, TENANT) == []
    assert len(list((office.folder / "heads" / TENANT).glob("*.json"))) == 1


@pytest.mark.parametrize("who", ["it-1", "pvo-1", "x-1"])
def test_a_log_is_opened_to_nobody_without_the_role(office: Office, who: str) -> None:
    """Operator, data protection officer and stranger: no file, and an event of the refusal."""
    _roles(office)
    out = office.folder / "a.pdf"
    done = office.hub("document", LOG_ID, "--for", "ppt", "--purpose", "sak", "--out", str(out), "--who", who)
    assert isinstance(done.exception, NotAllowed)
    assert "this takes the role" in str(done.exception)
    assert not out.exists()
    assert office.openings() == []
    assert "person:access:refused" in office.all_events()


def test_each_report_is_for_its_roles(office: Office) -> None:
    """The unit's leader opens the log and controls the unit; reports are for the data protection officer."""
    _roles(office)
    out = str(office.folder / "a.pdf")
    _well(office.hub("document", LOG_ID, "--for", "ppt", "--purpose", "sak", "--out", out, "--who", "leiar-1"))
    control = ("report", "control", "--unit", "tussebu", "--who")
    breach = ("report", "breach", "--from", "2026-11-21", "--to", "2026-11-21", "--who")
    insight = ("report", "insight", "--log", LOG_ID, "--who")
    for command, yes, no in ((control, "leiar-2", "it-1"), (breach, "pvo-1", "leiar-1"), (insight, "pvo-1", "it-1")):
        _well(office.hub(*command, yes))
        assert isinstance(office.hub(*command, no).exception, NotAllowed)


def test_who_has_seen_a_childs_log_is_told_by_a_number_that_is_never_shown(office: Office) -> None:
    """The number comes from a file or stdin; each opening is listed with its code, and asking is an event, too."""
    out = str(office.folder / "a.pdf")
    _well(office.hub("document", LOG_ID, "--for", "ppt", "--purpose", "sak", "--out", out, "--who", "leiar-1"))
    file = office.folder / "child.txt"
    file.write_text(f"{CHILD}\n", encoding="utf-8")
    told = _well(office.hub("report", "insight", str(file), "--who", "pvo-1"))
    assert "2 logs" in told
    assert "leiar-1" in told
    assert "summary" in told
    assert CHILD not in told + office.all_events()
    environ = {"KEY_FILE": str(office.folder / "key.json"), "DATA": str(office.folder), "COLUMNS": "250"}
    asked = ["report", "insight", "-", "--who", "pvo-1", "--config", str(office.folder / "config")]
    assert "leiar-1" in _well(CliRunner(env=environ).invoke(app, asked, input=CHILD))
    wrong = CliRunner(env=environ).invoke(app, asked, input="123")
    assert isinstance(wrong.exception, BadOption)
    assert isinstance(office.hub("report", "insight", "--who", "pvo-1").exception, BadOption)
