"""Reminders by e-mail: what each unit's address is sent, once a day, and what is told where it cannot be sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from hub.bootstrap import SYSTEMS, Hub, open_hub, read_settings
from hub.cli import app
from hub.connectors.http import Clock
from hub.documents.control import Check
from hub.documents.reminder import REMINDED, counts
from hub.operate.control import control_round
from hub.operate.privacy import privacy_page
from hub.operate.reminders import Outcome
from hub.operate.settings import SettingsError
from hub.relaylog.codes import Language, LogStatus
from hub.relaylog.model import RelayLog
from hub.service.check import check_all
from hub.service.remind import REMIND, NoMail, RemindersTaken, remind_now, reminders
from hub.service.schedule import timings, upkeep
from hub.store.leases import LEASE, RUNS, claim
from hub.store.sealing import new_key_file
from hub.store.tables import events, logs, runs
from hub.sync.rows import SyncRows, upkeep_of
from tests.commands.office import CONFIG, NUMBER, SCHOOL, TENANT, configure
from tests.connectors.smtpsink import QUOTED, How, Sink, smtp_sink
from tests.documents.worked import LOG_ID, TODAY, worked_log
from tests.leaks.canaries import MARK, clear, texts

MAIL = f"{TENANT}/_mail"
CHILD = "10915596784"  # synthetic
REMINDING = f"""\
{CONFIG}{SCHOOL}\
  - {{id: ppt, name: PPT i Oppdikta, organisation_number: "900001088", service: ppt}}
mail:
  host: 127.0.0.1
  port: PORT
  security: none
  sender: stafetthub@oppdikta.example
  remind: {{tussebu: styrar@tussebu.example, skule: rektor@skule.example}}
"""


@dataclass
class Office:
    """A municipality with a mail server, and a clock that tests set."""

    folder: Path
    sink: Sink
    at: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    text: str = field(default=REMINDING, repr=False)

    @contextmanager
    def hub(self) -> Iterator[Hub]:
        """Open its hub."""
        environ = {"KEY_FILE": str(self.folder / "key.json"), "DATA": str(self.folder)}
        clock = Clock(lambda: self.at, time.monotonic, time.sleep)
        with open_hub(read_settings(self.folder / "config", environ), clock) as hub:
            yield hub

    def write(self, **changed: str) -> None:
        """Write the configuration, with some words of it changed."""
        environment = changed.pop("environment", "test")
        text = self.text.replace("PORT", str(self.sink.port))
        for old, new in changed.items():
            assert old in text
            text = text.replace(old, new)
        configure(self.folder, {"tenant.yaml": text}, environment)

    def save(self, *kept: RelayLog) -> None:
        """Put logs into the store."""
        with self.hub() as hub, hub.db.write() as tx:
            store = hub.tenants[TENANT].logs
            for log in kept:
                known = tx.scalar(select(logs.c.log_id).where(logs.c.log_id == log.id))
                store.save(tx, replace(store.load(tx, log.id) if known else store.new(log.id), log=log), self.at)

    def remind(self, day: date = TODAY) -> dict[str, Outcome]:
        """Remind by hand, and give what came of it by unit."""
        with self.hub() as hub:
            return {each.unit: each.outcome for each in remind_now(hub, hub.tenants[TENANT], day)}

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Give what was written about each unit: the last part of the action, the unit and its data."""
        with self.hub() as hub, hub.db.read() as tx:
            rows = tx.execute(select(events).where(events.c.subject_kind == "unit").order_by(events.c.event_id))
            return [(row.action.rpartition(":")[2], row.subject_id, row.data) for row in rows]

    def command(self, *arguments: str) -> Result:
        """Run `hub`."""
        environ = {"KEY_FILE": str(self.folder / "key.json"), "DATA": str(self.folder), "COLUMNS": "250"}
        return CliRunner(env=environ).invoke(app, [*arguments, "--config", str(self.folder / "config")])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Give a municipality with one log of the kindergarten that asks for a look, and nothing at the school."""
    new_key_file(tmp_path / "key.json")
    with smtp_sink(Sink()) as sink:
        made = Office(tmp_path, sink)
        made.write()
        made.save(worked_log())
        yield made


SENT, NOTHING, BEFORE = Outcome.SENT, Outcome.NOTHING, Outcome.BEFORE


def test_a_unit_is_sent_the_figures_of_its_control_round(office: Office) -> None:
    """Each count as `hub report control` has it, the ids of the logs, and to the unit's address alone."""
    assert office.remind() == {"tussebu": SENT, "skule": NOTHING}
    [letter] = office.sink.letters()
    text = letter.get_content()
    page = control_round([worked_log()], "Tussebu barnehage", TODAY)
    assert letter["To"] == "styrar@tussebu.example"
    assert letter["Subject"] == "Stafettloggar å følgje opp: Tussebu barnehage, 2026-11-21"
    assert letter["Message-ID"] == f"<stafetthub.{TENANT}.tussebu.2026-11-21@oppdikta.example>"
    assert "Tiltak over fristen: 1\n" in text
    assert "Opne loggar: 1\n" in text
    assert text.count(LOG_ID) == len([check for check, found in page.findings if found and check in REMINDED])
    assert "ingen namn, og ingen tekst frå loggane" in text
    ready, sent = office.events()
    found = {**counts(page), "day": "2026-11-21"}
    assert ready == ("ready", "tussebu", found)
    assert sent == ("sent", "tussebu", {**found, "answer": "smtp_250"})
    assert found["active"] == found["overdue"] == 1


def _full_of_canaries(value: Any) -> Any:
    """Give a decoded log with a canary in the place of every name, title, address and text."""
    if isinstance(value, list):
        return [_full_of_canaries(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    said = {name for name in FREE if value.get(name)}
    return {name: f"{MARK}-{name}" if name in said else _full_of_canaries(inner) for name, inner in value.items()}


FREE = ("name", "title", "address", "text")


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_no_value_of_a_child_is_in_a_message(office: Office, language: Language) -> None:
    """A log with a canary in each free text and a national id: neither bytes, text nor events have any of them."""
    tree = _full_of_canaries(worked_log(changed_at=None).model_dump(mode="json"))
    tree["unit"]["organisation_number"] = NUMBER
    log = RelayLog.model_validate(tree)
    assert not any(" " in value for value in texts(tree))
    assert clear(log.model_dump_json().encode(), [CHILD]) == ["plain", "a national id"]
    office.save(log)
    with office.hub() as hub:
        told = remind_now(hub, hub.tenants[TENANT], TODAY, language)
    [letter] = office.sink.letters()
    assert told[0].counts.keys() == {"active", "overdue", "not_evaluated", "idle", "child_not_heard"}
    assert LOG_ID in letter.get_content()
    sent = office.sink.messages[0] + letter.get_content().encode() + str(office.events()).encode()
    assert clear(sent, [CHILD]) == []


@pytest.mark.parametrize(
    ("language", "words"), [("nb", "Tiltak som skulle vært evaluert"), ("nn", "vore vurderte"), ("en", "evaluated: 1")]
)
def test_a_message_is_written_in_each_language(office: Office, language: Language, words: str) -> None:
    """Every check has its words, and the message says that it names nobody and what the hub cannot know."""
    with office.hub() as hub:
        [(unit, letter)] = reminders(hub, hub.tenants[TENANT], language).letters(TODAY)
    assert unit == "tussebu"
    assert words in letter.text
    assert {"nb": "ingen navn", "nn": "ingen namn", "en": "no names"}[language] in letter.text
    assert {"nb": "Sykmelding", "nn": "Sjukmelding", "en": "sick leave"}[language] in letter.text
    assert "Testbarn" not in letter.text + letter.subject
    assert "{" not in letter.text + letter.subject


def test_each_unit_is_reminded_once_of_a_day(office: Office) -> None:
    """Asking again sends nothing, also of an earlier day; the next day is another."""
    tomorrow = TODAY + timedelta(days=1)
    assert office.remind()["tussebu"] is SENT
    assert office.remind()["tussebu"] is BEFORE
    assert office.remind(tomorrow)["tussebu"] is SENT
    assert office.remind()["tussebu"] is BEFORE
    assert len(office.sink.messages) == 2


def test_open_logs_alone_are_no_reason_to_write(office: Office) -> None:
    """A unit whose logs are as they should be, or are closed, gets no message and leaves no event."""
    fine = worked_log(measures=(), meetings=())
    office.save(worked_log(status=LogStatus.CLOSED), fine.model_copy(update={"id": "log-2"}))
    assert set(office.remind().values()) == {NOTHING}
    assert (office.sink.messages, office.events()) == ([], [])


def test_a_lost_answer_is_unknown_and_not_sent_again(office: Office) -> None:
    """The server read it all and hung up: it is told once as unknown, and nothing more is sent of that day."""
    office.sink.how = "hangs_up"
    assert office.remind()["tussebu"] is Outcome.UNKNOWN
    office.sink.how = "takes"
    assert office.remind()["tussebu"] is BEFORE
    assert len(office.sink.messages) == 1
    assert [name for name, _, _ in office.events()] == ["ready", "unknown"]
    assert office.events()[1][2]["answer"] == "connection_lost"


def test_a_hub_that_is_killed_while_it_sends_does_not_send_twice(office: Office) -> None:
    """The process dies while the server has the message: the next one tells that nobody knows, and sends nothing."""
    office.sink.how = "stalls"
    environ = {**os.environ, "KEY_FILE": str(office.folder / "key.json"), "DATA": str(office.folder)}
    command = [sys.executable, "-m", "hub", "report", "remind", "--config", str(office.folder / "config")]
    command += ["--date", TODAY.isoformat()]
    with subprocess.Popen(command, env=environ, cwd=Path(__file__).parents[2]) as process:
        _until(lambda: bool(office.sink.messages) or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    office.sink.how = "takes"
    office.at = datetime.now(UTC) + LEASE * 2
    assert office.remind()["tussebu"] is Outcome.UNKNOWN
    assert office.remind()["tussebu"] is BEFORE
    assert len(office.sink.messages) == 1
    assert [data.get("answer", "") for _, _, data in office.events()] == ["", "cut_off"]


def _until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not done() and time.monotonic() < ends:
        time.sleep(0.02)
    assert done()


def test_what_surely_did_not_leave_is_sent_when_asked_again(office: Office) -> None:
    """A server that is busy puts it off; one that knows no such address refuses; both are told with what to do."""
    put_off, failed = Outcome.PUT_OFF, Outcome.FAILED
    tries: list[tuple[How, Outcome]] = [("busy", put_off), ("later", put_off), ("no_such_recipient", failed)]
    for how, outcome in tries:
        office.sink.how = how
        assert office.remind()["tussebu"] is outcome
    office.sink.how = "takes"
    assert office.remind()["tussebu"] is SENT
    answers = [data["answer"] for name, _, data in office.events() if name != "ready"]
    assert answers == ["smtp_421", "smtp_451", "smtp_550", "smtp_250"]
    assert QUOTED.decode() not in str(office.events())


def test_a_log_that_does_not_open_is_told_and_nothing_is_counted(office: Office) -> None:
    """Figures that leave a log out would be wrong, so that no message goes."""
    with office.hub() as hub, hub.db.write() as tx:
        tx.execute(update(logs).values(sealed_body=b"damaged"))
    assert office.remind()["tussebu"] is Outcome.FAILED
    assert office.sink.messages == []
    assert office.events()[0] == ("failed", "tussebu", {"day": "2026-11-21", "answer": "damaged"})


# --- on schedule --------------------------------------------------------------------------------------------------


def _on_schedule(office: Office) -> tuple[str, str | None, datetime, dict[str, int]]:
    """Let a worker take what is due of the reminders; give state, error, when it is due and counts of the run."""
    with office.hub() as hub:
        rows = SyncRows(hub.db, hub.tenants, "worker-1", upkeep(hub))
        for task in [each for each in rows.sweep(office.at) if each.kind == RUNS.kind]:
            rows.work(task, Event())
        with hub.db.read() as tx:
            row = tx.execute(select(runs).where(runs.c.connection == MAIL)).one()
            return row.state, row.error_class, row.due_at, row.counts


def _book(office: Office) -> None:
    with office.hub() as hub:
        run = hub.tenants[TENANT].work.queue_run
        with hub.db.write() as tx:
            run(tx, MAIL, f"{MAIL}@2026-11-21T07:00", REMIND, office.at, office.at)


def test_reminders_have_a_schedule_of_their_own(office: Office) -> None:
    """Monday at seven where nothing is written; a municipality without mail has none."""
    name = upkeep_of(MAIL, REMIND)
    with office.hub() as hub:
        rows, due = SyncRows(hub.db, hub.tenants, "worker-1", upkeep(hub)), timings(hub)
        assert rows.planned_until(name) is None
        assert rows.busy(name) is None
        assert name in due
    office.write(**{"mail:": "mail:\n  schedule: {cron: '30 6 1 * *'}"})
    with office.hub() as hub:
        assert timings(hub)[name] != due[name]
    office.text = office.text.partition("mail:")[0]
    office.write()
    with office.hub() as hub:
        assert name not in timings(hub)
        with pytest.raises(NoMail, match="no `mail`"):
            remind_now(hub, hub.tenants[TENANT], TODAY)


def test_a_run_on_schedule_waits_for_a_busy_server(office: Office) -> None:
    """It is put off with the code and goes on by itself; what was sent meanwhile is not sent again."""
    _book(office)
    office.sink.how = "busy"
    state, error, due, told = _on_schedule(office)
    assert (state, error, told["put_off"]) == ("queued", "smtp_421", 1)
    assert due == office.at + timedelta(minutes=1)
    office.sink.how, office.at = "takes", due
    state, error, _, told = _on_schedule(office)
    assert (state, error, told["sent"]) == ("done", None, 1)
    assert len(office.sink.messages) == 1


def test_an_address_that_is_refused_does_not_keep_the_others_waiting(office: Office) -> None:
    """The run ends as not whole, and says how many; mail that was taken out of the settings is no mistake."""
    _book(office)
    office.sink.how = "no_such_recipient"
    state, error, _, told = _on_schedule(office)
    assert (state, error, told["failed"], told["nothing"]) == ("failed", "not_whole", 1, 1)


def test_a_booked_run_ends_where_mail_was_taken_out(office: Office) -> None:
    """A configuration without mail has nothing to do, and nothing fails."""
    _book(office)
    office.text = office.text.partition("mail:")[0]
    office.write()
    assert _on_schedule(office)[:2] == ("done", None)


def test_two_never_remind_at_once(office: Office) -> None:
    """While a run of reminders is at work, asking by hand is refused and sends nothing."""
    _book(office)
    with office.hub() as hub:
        with hub.db.write() as tx:
            [run_id] = tx.scalars(select(runs.c.run_id)).all()
            assert claim(tx, RUNS, run_id, "worker-1", office.at, office.at + LEASE)
        with pytest.raises(RemindersTaken):
            remind_now(hub, hub.tenants[TENANT], TODAY)
    assert office.sink.messages == []


# --- settings, check and command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tussebu: styrar": "tusebu: styrar"}, "reminds 'tusebu', which is no unit's id. Did you mean 'tussebu'?"),
        ({"styrar@tussebu.example": "Styrar <styrar@tussebu.example>"}, "not an e-mail address"),
        ({"styrar@tussebu.example": "styrar"}, "not an e-mail address"),
        ({"security: none": "security: ssl"}, "Known here: none, starttls, tls"),
        ({"host: 127.0.0.1": "host: mail.oppdikta.example"}, "mail goes unencrypted to another machine"),
        ({"sender:": "user: hub\n  sender:"}, "a log-in needs both `user` and `password`"),
        ({"sender:": "user: hub\n  password: ordet\n  sender:"}, "a secret written in the file"),
        ({"port:": "prot: 1\n  port:"}, "unknown key 'prot'"),
    ],
)
def test_wrong_mail_settings_are_told_with_the_place(office: Office, changed: dict[str, str], told: str) -> None:
    """File, line and what would be right; no password, and nothing in clear to another machine outside a sandbox."""
    office.write(**changed)
    with pytest.raises(SettingsError) as raised, office.hub():
        pass
    assert told in str(raised.value)
    assert "tenant.yaml:" in str(raised.value)
    assert "ordet" not in str(raised.value)


def test_a_sandbox_may_speak_to_any_server_in_clear(office: Office) -> None:
    """Its children are invented."""
    office.write(environment="sandbox", **{"host: 127.0.0.1": "host: mail.oppdikta.example"})
    with office.hub() as hub:
        assert REMIND in {name.partition(" ")[2] for name in timings(hub)}


def test_check_reaches_the_mail_server_and_sends_nothing(office: Office) -> None:
    """Well where it answers, with how many units are reminded; else the remedy."""
    with office.hub() as hub:
        *_, mail = check_all(hub)
        assert (mail.what, mail.well, mail.detail) == (f"{TENANT}/mail", True, "reached; 2 units are reminded")
        office.sink.how = "busy"
        *_, mail = check_all(hub)
        assert (mail.well, "421" in mail.detail) == (False, True)
    assert office.sink.messages == []


def test_the_command_shows_what_would_go_and_sends_once(office: Office) -> None:
    """A dry run writes each message out and stores nothing; then each unit has a line, and failures an exit code."""
    day = ("--date", TODAY.isoformat())
    shown = office.command("report", "remind", "--dry-run", *day, "--language", "nb")
    assert shown.exit_code == 0, shown.output
    assert "tussebu: to styrar@tussebu.example" in shown.output
    assert "Tiltak over fristen: 1" in shown.output
    assert (office.sink.messages, office.events()) == ([], [])
    office.sink.how = "later"
    failed = office.command("report", "remind", *day)
    assert (failed.exit_code, "tussebu: not sent: the mail server answered with the code 451" in failed.output) == (
        1,
        True,
    )
    office.sink.how = "takes"
    sent = office.command("report", "remind", *day)
    assert "tussebu: sent, the mail server answered smtp_250\nskule: nothing to remind of" in sent.output
    assert "tussebu: reminded of this day before" in office.command("report", "remind", *day).output
    told = office.command("trace", "tussebu")
    assert "the mail server took the reminder of 2026-11-21: smtp_250" in told.output


def test_the_privacy_page_tells_of_the_mail_that_leaves(office: Office) -> None:
    """Which units are reminded, by which server, and of what; a municipality without mail has no such line."""
    specs = {name: system.spec for name, system in SYSTEMS.items()}
    with office.hub() as hub:
        [tenant] = hub.settings.tenants
    page = privacy_page(tenant, TODAY, specs)
    assert "gjennom `127.0.0.1`, får disse enhetene påminnelser: Tussebu barnehage, Oppdikta skule." in page
    assert "@" not in page
    assert "påminnelser" not in privacy_page(tenant.model_copy(update={"mail": None}), TODAY, specs)


def test_every_check_is_either_a_reason_to_write_or_the_count_of_open_logs() -> None:
    """A check that is added to the control round is reminded of, too."""
    assert {*REMINDED, Check.ACTIVE} == set(Check)
