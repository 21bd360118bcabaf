"""`hub rights` as people use it: who may open, decide and read a case, and that nobody's words are shown to others."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.commands.rights import BadAnswer, NoSuchCase
from hub.commands.shared import NoSuchLog
from hub.operate.letter import NoLetter
from hub.operate.opened import NotOpen
from hub.operate.roles import NotAllowed
from hub.relaylog.rights import due_on, months_extended
from hub.store.logs import LogStore, Side
from hub.store.sealing import Shredded, read_key_file
from hub.store.tables import rights_cases, tasks
from hub.store.wipe import SHREDDED
from hub.sync.rights import CannotDo
from tests.commands.office import BOX_YAML, CONFIG, TENANT, Office, municipality
from tests.documents.worked import LOG_ID, worked_log

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOX = f"{TENANT}/box"
ROLES = """\
- {user: leiar-1, role: unit_leader, units: [tussebu], parts: [health, child_welfare], valid_from: 2020-01-01, granted_by: k-1}
- {user: rektor-1, role: unit_leader, units: [skule], valid_from: 2020-01-01, granted_by: k-1}
- {user: regel-1, role: rule_owner, valid_from: 2020-01-01, granted_by: k-1}
- {user: pvo-1, role: data_protection_officer, valid_from: 2020-01-01, granted_by: k-1}
- {user: it-1, role: operator, valid_from: 2020-01-01, granted_by: k-1}
"""  # noqa: E501 - one grant a line
ASKS, WHY = "Mor vil ha det vekk.", "Vurdert med leiaren."


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Give a municipality with one log, which one system holds."""
    (tmp_path / "box").mkdir()
    files = {"tenant.yaml": CONFIG, "roles.yaml": ROLES, "connections/box.yaml": BOX_YAML}
    made, log = municipality(tmp_path, files, "test"), worked_log()
    store = LogStore(read_key_file(tmp_path / "key.json", TENANT))
    with made.store() as db, db.write() as tx:
        stored = store.save(tx, replace(store.new(log.id), log=log, agreed=log), NOW)
        store.save_side(tx, stored, Side(BOX, "r-1", "1", "c" * 64, "profil/stafettlogg", 1, {}, log), None, NOW)
    return made


def _well(done: Result) -> str:
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def _refused(done: Result) -> None:
    assert isinstance(done.exception, NotAllowed), (done.output, done.exception)


def _open(office: Office, kind: str, who: str = "pvo-1", *more: str) -> Result:
    asked = ("--log", LOG_ID, "--kind", kind, "--asked-by", "guardian", "--asks", ASKS, "--who", who, *more)
    return office.hub("rights", "open", *asked)


def _id(office: Office) -> str:
    with office.store() as db, db.read() as tx:
        return str(tx.execute(select(rights_cases)).one().case_id)


def _decide(office: Office, answer: str, basis: str, who: str = "leiar-1", *more: str) -> Result:
    asked = ("--basis", basis, "--assessment", WHY, "--who", who, *more)
    return office.hub("rights", "decide", _id(office), answer, *asked)


def test_a_demand_is_written_down_decided_and_carried_out(office: Office) -> None:
    """Access from the demand to its end: each step says where it stands, and names the reports that are the answer."""
    told = _well(_open(office, "access", "pvo-1", "--asked-on", "2024-11-20"))
    assert "open, answer by 2024-12-20" in told
    shown = _well(office.hub("rights", "show", _id(office)))
    assert f"hub report insight --log {LOG_ID}" in shown
    assert f"hub report shared {LOG_ID} --for guardian" in shown
    assert "decided: granted on the basis gdpr_15, by leiar-1" in _well(_decide(office, "--grant", "gdpr_15"))
    assert _well(office.hub("rights", "done", _id(office), "--who", "pvo-1")) == "Done.\n"
    assert _well(office.hub("rights", "list")) == "No case waits.\n"
    assert "done: granted" in _well(office.hub("rights", "list", "--all"))


def test_a_list_tells_what_is_due_first_and_what_is_late(office: Office) -> None:
    """The oldest stands first, one of today is not overdue; as JSON the list holds ids, codes and days."""
    for kind, more in (
        ("deletion", ()),
        ("access", ("--asked-on", "2024-11-20")),
        ("correction", ("--asked-on", "2023-11-20")),
    ):
        _well(_open(office, kind, "pvo-1", *more))
    first, _, second, _, third, _ = _well(office.hub("rights", "list")).splitlines()
    assert first.endswith("correction  open, answer by 2023-12-20  OVERDUE")
    assert (second.endswith("OVERDUE"), third.endswith("OVERDUE")) == (True, False)
    found = json.loads(_well(office.hub("rights", "list", "--kind", "access", "--json")))
    assert [(one["log_id"], one["asked_by"], one["due_on"]) for one in found] == [(LOG_ID, "guardian", "2024-12-20")]


def test_who_runs_the_hub_opens_and_decides_nothing(office: Office) -> None:
    """The operator and another unit's leader are refused; the protection officer opens and follows, and decides not."""
    for who in ("it-1", "rektor-1", "x-1"):
        _refused(_open(office, "access", who))
    _well(_open(office, "access"))
    for who in ("it-1", "rektor-1", "pvo-1"):
        _refused(_decide(office, "--grant", "gdpr_15", who))
    _well(_decide(office, "--grant", "gdpr_15", "regel-1"))
    _refused(office.hub("rights", "done", _id(office), "--who", "it-1"))
    assert office.all_events().count("person:access:refused") == 7


def test_words_are_shown_to_who_may_open_the_log_alone(office: Office) -> None:
    """Neither list, show, decide nor an event has them; with --reveal the leader sees them, and that is kept."""
    told = [_well(_open(office, "correction")), _well(_decide(office, "--grant", "gdpr_16"))]
    told += [_well(office.hub("rights", *asked)) for asked in (("list",), ("list", "--json"), ("show", _id(office)))]
    assert not any(word in text for text in (*told, office.all_events()) for word in (ASKS, WHY, "Testbarn"))
    reveal = ("rights", "show", _id(office), "--reveal", "--purpose", "svar", "--who")
    for who in ("pvo-1", "regel-1", "it-1", "rektor-1"):
        _refused(office.hub(*reveal, who))
    assert _well(office.hub(*reveal, "leiar-1")) == f"asks: {ASKS}\nassessment: {WHY}\n"
    assert office.openings() == [("leiar-1", LOG_ID, {"rights": _id(office)})]
    assert isinstance(office.hub("rights", "show", _id(office), "--reveal").exception, BadAnswer)


def _extend(office: Office, months: str, who: str = "leiar-1", why: str = WHY) -> Result:
    return office.hub("rights", "extend", _id(office), "--months", months, "--why", why, "--who", who)


def test_an_answer_is_given_more_time(office: Office) -> None:
    """The new last day is shown with who gave it and what to tell by when; why is shown to who may open the log."""
    _well(_open(office, "access"))
    with office.store() as db, db.read() as tx:
        asked = tx.execute(select(rights_cases)).one().asked_on
    for who in ("pvo-1", "it-1", "rektor-1"):
        _refused(_extend(office, "1", who))
    once = _well(_extend(office, "1"))
    assert f"tell whoever asked by {due_on(asked)}" in once
    assert f"hub rights extend {_id(office)}" in once
    told = [_well(_extend(office, "1"))]
    assert f"open, answer by {due_on(asked, 2)}, extended" in told[0]
    assert f"extended by 2 months to {due_on(asked, 2)}, by leiar-1" in told[0]
    assert "hub rights extend" not in told[0]
    told += [_well(office.hub("rights", *args)) for args in (("list",), ("list", "--json"), ("show", _id(office)))]
    assert json.loads(told[2])[0]["due_on"] == str(due_on(asked, 2))
    assert not any(WHY in text for text in (*told, office.all_events()))
    reveal = ("rights", "show", _id(office), "--reveal", "--purpose", "svar", "--who", "leiar-1")
    assert _well(office.hub(*reveal)) == f"asks: {ASKS}\ntakes longer: {WHY}\ntakes longer: {WHY}\n"
    assert isinstance(_extend(office, "1").exception, CannotDo)
    assert _extend(office, "3").exit_code == 2


def test_a_case_with_more_time_is_late_by_its_new_day(office: Office) -> None:
    """Once its first month is over it can be given no more; until its new day it is not overdue."""
    _well(_open(office, "access"))
    _well(_extend(office, "2"))
    _well(_open(office, "deletion"))
    with office.store() as db, db.write() as tx:  # as if five weeks had gone by since the demands
        for row in tx.execute(select(rights_cases)).all():
            asked, months = row.asked_on - timedelta(weeks=5), months_extended(row.asked_on, row.due_on)
            changed = update(rights_cases).where(rights_cases.c.case_id == row.case_id)
            tx.execute(changed.values(asked_on=asked, due_on=due_on(asked, months)))
    first, _, second, _ = _well(office.hub("rights", "list")).splitlines()
    assert (first.endswith("OVERDUE"), second.endswith("extended")) == (True, True)
    assert "hub rights extend" not in _well(office.hub("rights", "show", first.split()[0]))
    late = office.hub("rights", "extend", first.split()[0], "--months", "1", "--why", WHY, "--who", "leiar-1")
    assert "within the first month" in str(late.exception)


def test_the_letter_tells_whoever_asked(office: Office) -> None:
    """Why it takes longer, then what was decided and why: to who may open the log alone, on the screen or to a file."""
    _well(_open(office, "access", "leiar-1", "--asks", "Eg vil sjå loggen min."))
    letter = ("rights", "letter", _id(office), "--who")
    assert isinstance(office.hub(*letter, "leiar-1").exception, NoLetter)
    _well(_extend(office, "2", why="Loggen er lang."))
    for who in ("pvo-1", "regel-1", "it-1", "rektor-1"):
        _refused(office.hub(*letter, who))
    longer = _well(office.hub(*letter, "leiar-1"))
    assert all(
        word in longer for word in ("SVARET TEK LENGRE TID", "sjå loggen min", "Loggen er lang.", "Datatilsynet")
    )
    assert isinstance(office.hub(*letter, "leiar-1", "--reasons", "Meir.").exception, NoLetter)
    _well(_decide(office, "--refuse", "gdpr_15_4"))
    assert isinstance(office.hub(*letter, "leiar-1").exception, NoLetter)
    out = office.folder / "brev.txt"
    asked = (*letter, "leiar-1", "--reasons", "Det gjeld andre.", "--language", "nb", "--to", str(out))
    assert _well(office.hub(*asked)) == f"Made {out}\n"
    assert out.stat().st_mode & 0o777 == 0o600
    text = out.read_text("utf-8")
    assert all(
        word in text for word in ("SVAR PÅ KRAVET DITT", "art. 15 nr. 4", "Det gjeld andre.", "personvernombudet")
    )
    assert not any(word in text for word in (WHY, "Loggen er lang.", "Testbarn"))
    assert office.openings() == [("leiar-1", LOG_ID, {"rights": _id(office)})] * 2


def test_the_letter_about_a_deletion_is_made_from_what_is_left(office: Office) -> None:
    """Neither words nor language of the log are left; whoever carries the case out can make it, and opens nothing."""
    _well(_open(office, "deletion"))
    _well(_decide(office, "--grant", "archive_released", "leiar-1", "--yes"))
    letter = ("rights", "letter", _id(office), "--who")
    _refused(office.hub(*letter, "it-1", "--reasons", "Arkivverket vedtok det."))
    assert "duty to archive" in str(office.hub(*letter, "pvo-1").exception)
    told = _well(office.hub(*letter, "pvo-1", "--reasons", "Arkivverket vedtok det."))
    assert all(word in told for word in ("Loggen er sletta i Stafetthub", "Arkivverket vedtok det."))
    assert not any(word in told for word in (ASKS, "vurdering"))
    assert office.openings() == []


@pytest.mark.parametrize(("kind", "basis"), [("objection", "gdpr_21_1"), ("restriction", "gdpr_18_1")])
def test_whoever_asked_is_told_before_and_when_it_is_lifted(office: Office, kind: str, basis: str) -> None:
    """The notice can be made while what was granted stands; decided against, the letter knows that it was granted."""
    _well(_open(office, kind, "leiar-1"))
    letter = ("rights", "letter", _id(office), "--who", "leiar-1")
    notice = (*letter, "--lifting", "--reasons", "Grunnen er borte.")
    assert isinstance(office.hub(*notice).exception, NoLetter)
    assert "--lifting" not in _well(office.hub("rights", "show", _id(office)))
    assert f"hub rights letter {_id(office)} --lifting" in _well(_decide(office, "--grant", basis))
    _well(office.hub("rights", "done", _id(office), "--who", "pvo-1"))
    assert f"hub rights letter {_id(office)} --lifting" in _well(office.hub("rights", "show", _id(office)))
    assert isinstance(office.hub(*letter, "--lifting").exception, NoLetter)
    told = _well(office.hub(*notice))
    assert all(word in told for word in ("AVGRENSINGA BLIR OPPHEVA", ASKS, "Grunnen er borte.", "personvernombodet"))
    assert "--lifting" not in _well(_decide(office, "--refuse", basis))
    assert isinstance(office.hub(*notice).exception, NoLetter)
    assert "Kommunen opphevar avgrensinga." in _well(office.hub(*letter, "--reasons", "Grunnen er borte."))
    assert office.openings() == [("leiar-1", LOG_ID, {"rights": _id(office)})] * 2


def test_what_was_never_granted_is_refused_and_not_lifted(office: Office) -> None:
    """A demand for restriction stops sending while it is open; refused, the letter says that, and nothing is lifted."""
    _well(_open(office, "restriction", "leiar-1"))
    _well(_decide(office, "--refuse", "gdpr_18_1"))
    told = _well(office.hub("rights", "letter", _id(office), "--who", "leiar-1", "--reasons", "Grunnen held ikkje."))
    assert "Kommunen har avslått kravet." in told
    assert "opphevar" not in told


def test_an_objection_holds_the_log_and_papers_of_it(office: Office) -> None:
    """A hold that nobody may release stands in the inbox, no summary is made, and a refusal ends both."""
    _well(_open(office, "objection", "leiar-1"))
    assert "nothing of the log is sent" in _well(office.hub("rights", "show", _id(office)))
    (hold,) = json.loads(_well(office.hub("inbox", "list", "--kind", "hold", "--json")))
    assert (hold["reason"], hold["log"], hold["addressed_to"]) == ("restricted", LOG_ID, "rule_owner")
    shown = _well(office.hub("inbox", "show", hold["id"]))
    assert "nobody can release it" in shown
    assert "hub rights" in shown
    paper = ("document", LOG_ID, "--for", "ppt", "--purpose", "råd", "--who", "leiar-1", "--out")
    assert isinstance(office.hub(*paper, str(office.folder / "a.pdf")).exception, NotOpen)
    _well(_decide(office, "--refuse", "gdpr_21_1"))
    assert json.loads(_well(office.hub("inbox", "list", "--kind", "hold", "--json"))) == []
    _well(office.hub(*paper, str(office.folder / "a.pdf")))


def test_a_deletion_is_asked_for_once_more_and_tells_the_systems(office: Office) -> None:
    """Without the lifted duty it is refused, without a yes not done; then the log is shredded and listed as such."""
    _well(_open(office, "deletion"))
    assert isinstance(_decide(office, "--grant", "gdpr_17_1", "leiar-1", "--yes").exception, CannotDo)
    assert _decide(office, "--grant", "archive_released").exit_code == 1
    told = _well(_decide(office, "--grant", "archive_released", "leiar-1", "--yes"))
    with office.store() as db, db.read() as tx:
        (task,) = tx.execute(select(tasks)).all()
        with pytest.raises(Shredded):
            LogStore(read_key_file(office.folder / "key.json", TENANT)).load(tx, LOG_ID)
    assert f"task {task.task_id}: delete it in {BOX}, open" in told
    assert LOG_ID in (office.folder / SHREDDED / f"{TENANT}.jsonl").read_text("utf-8")
    shown = _well(office.hub("inbox", "show", task.task_id))
    assert "the task opens again" in shown
    assert isinstance(office.hub("rights", "done", _id(office), "--who", "pvo-1").exception, CannotDo)
    _refused(office.hub("inbox", "done", task.task_id, "--who", "it-1"))
    _well(office.hub("inbox", "done", task.task_id, "--who", "regel-1"))
    _well(office.hub("rights", "done", _id(office), "--who", "pvo-1"))
    assert "the log's key was deleted" in _well(office.hub("trace", LOG_ID))


def test_what_is_asked_can_be_read_from_stdin(office: Office) -> None:
    """Longer words need not stand on a command line."""
    environ = {"KEY_FILE": str(office.folder / "key.json"), "DATA": str(office.folder), "COLUMNS": "250"}
    asked = ["rights", "open", "--log", LOG_ID, "--kind", "access", "--asked-by", "child", "--asks", "-"]
    asked += ["--who", "leiar-1", "--config", str(office.folder / "config")]
    _well(CliRunner(env=environ).invoke(app, asked, input="Eg vil sjå\nloggen min.\n"))
    reveal = ("rights", "show", _id(office), "--reveal", "--purpose", "svar", "--who", "leiar-1")
    assert _well(office.hub(*reveal)) == "asks: Eg vil sjå\nloggen min.\n"


def test_what_is_not_there_is_told_with_what_there_is(office: Office) -> None:
    """An unknown log, case, day or basis is refused in one line, without repeating it where it could be anything."""
    missing = ("--kind", "access", "--asked-by", "child", "--asks", "x", "--who", "pvo-1")
    assert isinstance(office.hub("rights", "open", "--log", "no-such", *missing).exception, NoSuchLog)
    assert isinstance(office.hub("rights", "show", "no-such").exception, NoSuchCase)
    assert isinstance(_open(office, "access", "pvo-1", "--asked-on", "i går").exception, BadAnswer)
    _well(_open(office, "access"))
    done = _decide(office, "--grant", "skjønn")
    assert isinstance(done.exception, BadAnswer)
    assert "gdpr_17_1" in str(done.exception)
    assert "skjønn" not in str(done.exception)
