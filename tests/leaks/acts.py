"""What people do at the office, command after command: each as it should be, then in wrong states and with wrong words.

Where a command takes words of a person's own, they are canaries; where it takes an id, one that nobody has is one, too.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import select

from hub.mappings import shipped
from hub.store.tables import tasks
from tests.connectors.transit_server import TOKEN
from tests.faults.house import ROOT
from tests.leaks.house import BROKEN
from tests.leaks.office import CHILD, KEY_SERVICE, ME, NOBODY, OTHER, PERSON, TENANT, WHO, WHY, WORD, Office

NOWHERE = "http://127.0.0.1:1"
UNKNOWN = f"{WORD}-{OTHER}"
"""An id that nobody has: what somebody may have copied from the wrong line."""

RULES = ROOT / "config" / "tenants" / TENANT / "rules" / "archive.yaml"
ASKS = ("--asks", PERSON, "--asked-by", "guardian")


def live_through_everything(hub: Office) -> None:
    """Do all of it, in an order in which each finds what it needs."""
    _without_keys(hub)
    _read(hub)
    _look(hub)
    _decide(hub)
    _mistake_the_child(hub)
    _remind(hub)
    _move_the_baton(hub)
    _make_papers(hub)
    _make_a_plan(hub)
    _claim_rights(hub)
    _try_mappings(hub)
    _use_unknown_ids(hub)
    _open_what_is_damaged(hub)
    _keep(hub)
    _spoil_the_store(hub)
    _ask_the_key_service(hub)


def _without_keys(hub: Office) -> None:
    """Start with a file of keys that is none, then with one."""
    key = hub.data / "key.json"
    hub.rarely("status")
    key.touch(mode=0o600)
    key.write_text(json.dumps({"current": WORD, "keys": {"1": PERSON}, "hashing": WORD}), encoding="utf-8")
    hub.badly("status")
    hub.badly("keys", "new", str(key), whole=False)
    key.unlink()
    hub.well("keys", "new", str(key), whole=False)


def _read(hub: Office) -> None:
    """Take in a child from two folders that disagree, others beside it, and a file that nobody can read."""
    (hub.tenant / "rules").mkdir()
    shutil.copy(RULES, hub.tenant / "rules")
    hub.badly("sync", "samspill", SAMSPILL=NOWHERE)
    child = _child(hub, "a-1", "1.", CHILD)
    hub.put("box", "a-1.json", json.dumps(child).encode())
    for name, record in (("b-1", {"birth_date": "2017-05-05"}), ("c-1", {"birth_date": "2017-06-06"})):
        hub.put("box", f"{name}.json", json.dumps(_child(hub, name, name, None, **record)).encode())
    hub.put("box", "feil.json", BROKEN[".json"])
    hub.run("sync")
    hub.put("other", "a-2.json", json.dumps(_child(hub, "a-2", "2.", CHILD)).encode())
    hub.well("sync", "other")
    child |= {"version": "2", "notes": [], "agreements": [], "changed_at": "2026-11-02T08:00:00Z"}
    hub.put("box", "a-2.json", json.dumps(child).encode())
    hub.well("sync", "box")
    hub.rarely("sync", "ukjend")
    with hub.sandbox.world.lock:
        [plan] = hub.sandbox.world.samspill.values()
        hub.sandbox.world.samspill["P-10002"] = {**copy.deepcopy(plan), "planId": "P-10002"}
    hub.well("reconcile", "samspill")
    hub.rarely("reconcile", "samspill", SAMSPILL=NOWHERE)
    with hub.sandbox.world.lock:
        del hub.sandbox.world.samspill["P-10002"]


def _child(hub: Office, key: str, step: str, number: str | None, **subject: str) -> dict[str, Any]:
    """Give a record about a child: its key in the system, a word that tells it apart, and who it is about."""
    tree = copy.deepcopy(hub.records["aktiv"].tree)
    tree["source"]["id"], tree["unit"]["id"], tree["step"] = key, "skule", f"{WORD} {step}"
    tree["subject"] |= {"national_id": number, **subject}
    [consent] = tree["consents"]
    consent["valid_to"] = None
    tree["consents"].append({**consent, "id": "c2", "recipient": "ppt", "recipient_unit": ""})
    return tree


def _look(hub: Office) -> None:
    """Ask everything that shows how it stands."""
    hub.well("check")
    hub.badly("check", SAMSPILL=NOWHERE, SMTP="1")
    hub.well("status")
    hub.well("inbox", "list")
    hub.well("inbox", "list", "--json")
    kinds = ("hold", "conflict", "quarantine", "proposal", "difference", "task")
    for kind in kinds if hub.thorough else kinds[:3]:
        hub.well("inbox", "show", hub.waiting(kind)[0])
    hub.well("trace", hub.log("a-1"))
    hub.well("pause", "box", *WHO)
    hub.well("resume", "box", *WHO)
    hub.well("schema", whole=False)


def _decide(hub: Office) -> None:
    """Decide what waits, as who may and as who may not."""
    conflict, hold = hub.waiting("conflict")[0], hub.waiting("hold", "no_record_at_receiver")[0]
    shows = ("--reveal", "--who", ME, "--purpose", PERSON)
    hub.well("inbox", "show", conflict, *shows)
    hub.well("inbox", "show", hold, *shows)
    for decision in (("settle", conflict, "--take", "other"), ("release", hold)):
        hub.rarely("inbox", *decision, "--who", NOBODY, *WHY)
    hub.badly("inbox", "settle", conflict, "--take", UNKNOWN, *WHO, *WHY)
    hub.well("inbox", "settle", conflict, "--take", "other", *WHO, *WHY)
    hub.well("inbox", "release", hold, *WHO, *WHY)
    one, other = hub.waiting("proposal")
    for decision in (("accept", one, "--into", UNKNOWN), ("refuse", other)):
        hub.rarely("inbox", *decision, "--who", NOBODY, *WHY)
        hub.well("inbox", *decision, *WHO, *WHY)
    hub.well("inbox", "close", hub.waiting("difference")[0], *WHO, *WHY)
    hub.well("inbox", "replay", "--all", *WHO, *WHY)


def _mistake_the_child(hub: Office) -> None:
    """Let a record be entered on another child, and say whose it is: first the same one's, then the other's."""
    for version, (number, decision) in enumerate(((OTHER, ""), (CHILD, "same-person"), (OTHER, "another-person")), 1):
        child = _child(hub, "d-1", "4.", number) | {"version": str(version)}
        hub.put("box", f"d-{version}.json", json.dumps(child).encode())
        hub.run("sync", "box")
        for item in hub.waiting("quarantine", "another_person") if decision else ():
            hub.well("inbox", "show", item)
            hub.rarely("inbox", decision, item, "--who", NOBODY, *WHY)
            hub.well("inbox", decision, item, *WHO, *WHY)


def _remind(hub: Office) -> None:
    """Remind a unit, through a mail server that is away, refuses and takes."""
    hub.well("report", "remind", "--dry-run")
    hub.rarely("report", "remind", "--date", "2026-11-01", SMTP="1")
    ways = ("no_such_recipient", "refuses_text", "hangs_up", "not_mail")
    for day, how in enumerate(ways if hub.thorough else ways[:2], 2):
        hub.sink.how = how  # type: ignore[assignment]
        hub.badly("report", "remind", "--date", f"2026-11-{day:02}")
    hub.sink.how = "takes"
    for language in ("nb", "nn", "en") if hub.thorough else ("nb",):
        hub.well("report", "remind", "--language", language, "--date", f"2026-11-1{len(hub.sink.messages)}")


def _move_the_baton(hub: Office) -> None:
    """Offer the baton and take it over."""
    log = hub.log("a-1")
    shown = hub.well("baton", "show", log)
    party = next(line.split()[1].strip(":") for line in shown.splitlines() if line.startswith("party"))
    hub.badly("baton", "offer", log, "--to", UNKNOWN, *WHO, *WHY)
    hub.rarely("baton", "answer", log, "accept", *WHO, *WHY)
    hub.well("baton", "offer", log, "--to", party, *WHO, *WHY)
    hub.rarely("baton", "answer", log, "accept", "--handover", UNKNOWN, *WHO, *WHY)
    hub.well("baton", "answer", log, "accept", *WHO, *WHY)


def _make_papers(hub: Office) -> None:
    """Make every paper."""
    log, out = hub.log("a-1"), str(hub.side / "a.pdf")
    document = ("document", log, "--purpose", PERSON, "--out", out)
    hub.well(*document, "--for", "ppt", *WHO)
    hub.rarely(*document, "--for", "child_welfare", *WHO)
    hub.rarely(*document, "--for", "ppt", "--who", NOBODY)
    hub.badly(*document, "--for", "ppt", "--who", PERSON)
    if hub.thorough:
        hub.well("report", "shared", log, "--for", "guardian", "--out", out, *WHO)
    hub.well("report", "shared", log, "--for", "child", "--out", str(hub.side / "a.txt"), *WHO)
    hub.well("report", "insight", "-", *WHO, typed=CHILD)
    hub.badly("report", "insight", "-", *WHO, typed=PERSON)
    hub.rarely("report", "insight", CHILD, *WHO)
    csv, pdf = str(hub.side / "a.csv"), str(hub.side / "b.pdf")
    hub.well("report", "control", "--unit", "skule", "--csv", csv, "--pdf", pdf, *WHO)
    hub.rarely("report", "control", "--unit", "skule", "--who", NOBODY)
    hub.well("report", "breach", "--from", "2020-01-01", "--to", "2099-01-01", "--csv", csv, *WHO)
    hub.badly("report", "breach", "--from", PERSON, "--to", "2099-01-01", *WHO)
    hub.well("report", "privacy", "--out", str(hub.side / "a.md"))
    hub.rarely("report", "privacy", "--out", str(hub.side / "none" / "a.md"))


def _make_a_plan(hub: Office) -> None:
    """Have an individual plan made, after mistakes in the file of people."""
    log = hub.log("P-10001", "samspill")
    shown = hub.well("plan", "show", log, *WHO)
    guardian = next(line.split()[3] for line in shown.splitlines() if "guardian" in line)
    create = ("plan", "create", log, "--yes", "--people", "-", *WHO, *WHY)
    wrong = (f"lead {OTHER} {PERSON}\n{PERSON}", PERSON, f"lead {UNKNOWN} {PERSON}", "")
    for people in wrong if hub.thorough else wrong[:1]:
        hub.badly(*create, typed=people)
    people = f"lead {OTHER} {WORD} Testperson"
    hub.badly(*create, "--participant", UNKNOWN, typed=people)
    hub.badly(*create, "--affiliation", UNKNOWN, typed=people)
    hub.rarely("plan", "affiliations", log, *WHO, SAMSPILL=NOWHERE)
    chosen = hub.well("plan", "affiliations", log, "--language", "nn", *WHO).split()[0]
    hub.rarely(*create, typed=people, SAMSPILL=NOWHERE)
    hub.well(*create, "--participant", guardian, "--affiliation", chosen, typed=people)
    hub.rarely(*create, typed=people)


def _claim_rights(hub: Office) -> None:
    """Ask for a log to be deleted, and for insight in another."""
    a, c = hub.log("a-1"), hub.log("c-1")
    cases = ((c, "deletion", "archive_released"), (a, "access", "gdpr_15"))
    for log, kind, basis in cases if hub.thorough else cases[:1]:
        opened = hub.well("rights", "open", "--log", log, "--kind", kind, *ASKS, *WHO)
        case = opened.split()[1].strip(".")
        hub.well("rights", "show", case)
        hub.well("rights", "show", case, "--reveal", "--purpose", PERSON, *WHO)
        more = ("rights", "extend", case, "--months", "1", *WHY)
        hub.rarely("rights", "letter", case, *WHO)
        hub.rarely(*more, "--who", NOBODY)
        hub.well(*more, *WHO)
        hub.well("rights", "letter", case, *WHO)
        decide = ("rights", "decide", case, "--grant", "--yes", "--assessment", PERSON)
        hub.rarely(*decide, "--basis", WORD, *WHO)
        hub.rarely(*decide, "--basis", "gdpr_21_1", *WHO)
        hub.rarely(*decide, "--basis", basis, "--who", NOBODY)
        hub.rarely("rights", "done", case, *WHO)
        hub.well(*decide, "--basis", basis, *WHO)
        if kind == "deletion":
            with hub.store() as db, db.read() as tx:
                for task in tx.scalars(select(tasks.c.task_id).where(tasks.c.log_id == log)).all():
                    hub.well("inbox", "done", task, *WHO)
        hub.well("rights", "letter", case, "--reasons", PERSON, *WHO)
        hub.rarely(*more, *WHO)
        hub.well("rights", "done", case, *WHO)
    hub.well("rights", "list", "--json")
    if hub.thorough:
        _open(hub, c)


def _open(hub: Office, log: str) -> None:
    """Ask for a log that does not open, in every way that needs it open."""
    hub.run("document", log, "--for", "ppt", "--purpose", PERSON, "--out", str(hub.side / "c.pdf"), *WHO)
    hub.run("baton", "show", log)
    hub.run("plan", "show", log, *WHO)
    hub.run("rights", "open", "--log", log, "--kind", "access", *ASKS, *WHO)
    if hub.thorough:
        hub.run("baton", "offer", log, "--to", UNKNOWN, *WHO, *WHY)
        hub.run("report", "shared", log, "--for", "child", "--out", str(hub.side / "c.txt"), *WHO)
        hub.run("report", "insight", "--log", log, *WHO)
        hub.run("trace", log)


def _try_mappings(hub: Office) -> None:
    """Try mappings on records at hand, some of them broken, and freeze one."""
    name, record = "relaylog/open", hub.side / "post.json"
    record.write_bytes(hub.records["aktiv"].data)
    tried = (("preview", name), ("expect", name), ("coverage", name), ("new", "prove", "--from"), ("shape",))
    for command in tried:
        hub.well("mapping", *command, str(record), whole=False)
    hub.well("mapping", "lint", name, whole=False)
    hub.well("mapping", "test", name, whole=False)
    hub.well("mapping", "diff", name, "profil/stafettlogg", whole=False)
    hub.well("mapping", "freeze", str(shipped()[name]), *WHO)
    hub.well("mapping", "activate", name, "1", *WHO)
    hub.well("mapping", "versions")
    record.write_bytes(BROKEN[".json"])
    hub.rarely("mapping", "freeze", str(record), *WHO)
    for command in (*tried, ("lint",), ("test",), ("diff", name)) if hub.thorough else tried[:1]:
        hub.badly("mapping", *command, str(record), whole=False)
    if hub.thorough:
        hub.badly("mapping", "activate", name, "7", *WHO)


def _use_unknown_ids(hub: Office) -> None:
    """Give commands that take an id one that is no id."""
    hub.badly("trace", UNKNOWN)
    hub.badly("inbox", "show", UNKNOWN)
    hub.badly("baton", "show", UNKNOWN)
    hub.badly("rights", "show", UNKNOWN)
    hub.badly("report", "insight", "--log", UNKNOWN, *WHO)
    if not hub.thorough:
        return
    _open(hub, UNKNOWN)
    hub.badly("trace", f"{UNKNOWN}/{UNKNOWN}")
    hub.badly("inbox", "list", "--connection", "ukjend")
    hub.badly("inbox", "settle", UNKNOWN, "--take", UNKNOWN, *WHO, *WHY)
    for command in ("release", "accept", "refuse", "replay", "close", "same-person", "another-person"):
        hub.badly("inbox", command, UNKNOWN, *WHO, *WHY)
    hub.badly("inbox", "done", UNKNOWN, *WHO)
    hub.badly("baton", "answer", UNKNOWN, "accept", *WHO, *WHY)
    hub.badly("plan", "create", UNKNOWN, "--yes", "--people", "-", *WHO, *WHY, typed=f"lead {OTHER} {PERSON}")
    hub.badly("rights", "decide", UNKNOWN, "--refuse", "--basis", "gdpr_15", "--assessment", PERSON, *WHO)
    hub.badly("rights", "done", UNKNOWN, *WHO)
    hub.badly("rights", "extend", UNKNOWN, "--months", "1", *WHO, *WHY)
    hub.badly("rights", "letter", UNKNOWN, "--reasons", PERSON, *WHO)
    for command in ("pause", "resume"):
        hub.badly(command, "ukjend", *WHO)
    for command in ("rotate", "retire"):
        hub.badly("keys", command, UNKNOWN, *WHO)
    hub.badly("report", "control", "--unit", "skule", "--tenant", UNKNOWN, *WHO)
    hub.badly("mapping", "versions", "--tenant", UNKNOWN)
    hub.badly("mapping", "shape", str(hub.side / "ikkje.json"), whole=False)


def _open_what_is_damaged(hub: Office) -> None:
    """Go through a store in which a log holds what no model reads, and a system sends news of it."""
    hub.damage(hub.log("b-1"))
    _open(hub, hub.log("b-1"))
    hub.put("box", "b-1.json", json.dumps(_child(hub, "b-1", "3.", None)).encode())
    hub.run("sync", "box")
    hub.run("report", "control", "--unit", "skule", *WHO)
    hub.run("report", "remind", "--date", "2026-11-20")
    if hub.thorough:
        hub.run("report", "insight", "-", *WHO, typed=CHILD)


def _keep(hub: Office) -> None:
    """Chain, back up, wipe, restore and rotate; then with what was kept of it spoilt."""
    private, public, file = (str(hub.side / name) for name in ("b.key", "b.pub", "b.backup"))
    hub.well("keys", "backup", private, public, whole=False)
    hub.rarely("keys", "backup", private, public, whole=False)
    hub.well("audit", "chain")
    hub.well("audit", "verify")
    hub.well("backup", "--to", file, "--public-key", public, *WHO)
    hub.well("wipe", *WHO)
    restore = ("restore", "--private-key", private, "--from", file)
    hub.well(*restore, "--to", f"sqlite:///{hub.data / 'back.db'}")
    hub.rarely(*restore, "--to", f"sqlite:///{hub.data / 'back.db'}")
    hub.badly(*restore, "--to", f"postgresql+psycopg://{WORD}:{WORD}@127.0.0.1:1/{WORD}")
    hub.badly("store", "move", "--to", f"postgresql+psycopg://{WORD}:{WORD}@127.0.0.1:1/{WORD}")
    hub.rarely("store", "move", "--to", f"{PERSON}://")
    hub.well("keys", "rotate", TENANT, *WHO)
    hub.rarely("keys", "retire", TENANT, *WHO)
    os.utime(hub.data / "key.json", (0, 0))
    hub.well("keys", "retire", TENANT, *WHO)
    spoilt = {
        next((hub.data / "heads" / TENANT).iterdir()): ("audit", "verify"),
        next((hub.data / "shredded").iterdir()): (*restore, "--to", f"sqlite:///{hub.side / 'less.db'}"),
        Path(file): (*restore, "--to", f"sqlite:///{hub.side / 'new.db'}"),
        Path(public): ("backup", "--to", str(hub.side / "c.backup"), "--public-key", public, *WHO),
    }
    for path, command in spoilt.items():
        kept = path.read_bytes()
        path.write_bytes(f'{{"{WORD}": "{PERSON}"\n'.encode())
        hub.badly(*command)
        path.write_bytes(kept)


def _spoil_the_store(hub: Office) -> None:
    """Let the middle of the database's file be something else; PostgreSQL has no such file."""
    if not hub.database.startswith("sqlite"):
        return
    with hub.store() as db:
        db.forget_deleted()  # which writes back what was written ahead
    whole = (hub.data / "hub.db").read_bytes()
    middle, spoilt = len(whole) // 8, hub.side / "spoilt.db"
    spoilt.write_bytes(whole[:middle] + PERSON.encode() * (len(whole) // len(PERSON)))
    commands = (("status",), ("sync",), ("inbox", "list"), ("wipe", *WHO), ("audit", "verify"))
    for command in commands if hub.thorough else commands[:2]:
        hub.run(*command, DATABASE=f"sqlite:///{spoilt}")


def _ask_the_key_service(hub: Office) -> None:
    """Have the keys wrapped by a key service that is away, refuses, is sealed, and is itself."""
    hub.rarely("keys", "wrap", TENANT, str(hub.data / "key.json"))
    hub.configure(KEY_SERVICE)
    key, wrap = hub.data / "key.json", ("keys", "wrap", TENANT)
    hub.rarely("keys", "wrap", UNKNOWN, str(key))
    hub.rarely(*wrap, str(key), KEY_SERVICE=NOWHERE)
    hub.badly(*wrap, str(key), KEY_TOKEN=WORD)
    hub.well(*wrap, str(key), KEY_TOKEN=TOKEN)
    hub.well("keys", "rotate", TENANT, *WHO)
    hub.rarely("check", KEY_SERVICE=NOWHERE)
    hub.transit.sealed = True
    hub.badly("sync")
    hub.transit.sealed = False
    wrapped = hub.data / "key.wrapped"
    kept = wrapped.read_bytes()
    for spoilt in (PERSON.encode(), kept.replace(b"vault:v1:", b"vault:v1:AAAA")):
        wrapped.write_bytes(spoilt)
        hub.badly("status")
    wrapped.write_bytes(kept)
