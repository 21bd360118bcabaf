"""The command line as municipal IT meets it: real processes, a real sandbox, one clear line when something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.service.dryrun import PREFIX
from hub.store.database import open_database
from hub.store.tables import events, logs, runs

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Site:
    """A running sandbox and the environment that its hub needs."""

    folder: Path
    environ: dict[str, str]

    def hub(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the command with some variables changed."""
        environ = {**os.environ, "COLUMNS": "120", **self.environ, **changes}
        command = [sys.executable, "-m", "hub", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start `hub sandbox` with twenty children and read what it wrote to be sourced."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hub", "sandbox", "--dir", str(folder), "--children", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(3):
            process.stdout.readline()
        lines = (folder / "sandbox.env").read_text().splitlines()
        yield Site(folder, dict(line.split("=", 1) for line in lines))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def synced(site: Site) -> Site:
    """The same, after one sync."""
    assert site.hub("sync").returncode == 0
    return site


def _told(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    lines = [
        line for line in (done.stdout + done.stderr).splitlines() if "fail " in line or "Check " in line or ":" in line
    ]
    return "\n".join(lines)


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    """`hub --help` lists the commands without importing database, web or document libraries."""
    code = (
        "import sys; from typer.testing import CliRunner; from hub.cli import app; "
        "r = CliRunner().invoke(app, ['--help']); print(r.output); "
        "assert not {'sqlalchemy', 'fastapi', 'typst', 'lxml', 'httpx', 'pydantic'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "sandbox", "run", "sync", "check", "status", "inbox", "trace", "schema", "keys"):
        assert command in done.stdout


def test_check_reaches_every_system(site: Site) -> None:
    """With the sandbox's own variables everything is well, and the assumed settings are counted."""
    done = site.hub("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == len(list((ROOT / "config").rglob("connections/*.yaml"))) + 1
    assert "assumed" in done.stdout


def test_a_wrong_secret_is_one_line_with_the_remedy(site: Site) -> None:
    """The connection, what happened and what to check; the secret itself is not shown."""
    said = _told(site.hub("check", STAFETTHUB_VIGILO_SECRET="not-the-secret"))
    assert "900001002/vigilo" in said
    assert "Check client_id, client_secret and scope" in said
    assert "not-the-secret" not in said


def test_a_closed_port_is_one_line_with_the_remedy(site: Site) -> None:
    """An address where nothing listens is named as such, with what to check."""
    said = _told(site.hub("check", STAFETTHUB_SAMSPILL_URL="http://127.0.0.1:9/api"))
    assert "900001002/samspill: the system cannot be reached" in said
    assert "firewall" in said


def test_a_wrong_path_is_one_line_with_the_remedy(site: Site) -> None:
    """A base address with a wrong path leads to the setting that is wrong."""
    url = site.environ["STAFETTHUB_SAMSPILL_URL"].replace("/api", "/wrong")
    said = _told(site.hub("check", STAFETTHUB_SAMSPILL_URL=url))
    assert "900001002/samspill: the system answered HTTP 404" in said
    assert "Check base_url" in said


def test_a_missing_variable_names_file_and_line(site: Site) -> None:
    """A configuration that refers to a variable that is not set says where and what to do."""
    environ = {name: value for name, value in site.environ.items() if name != "STAFETTHUB_VIGILO_SECRET"}
    done = Site(site.folder, environ).hub("check")
    assert re.search(r"vigilo\.yaml:\d+:\d+: .*STAFETTHUB_VIGILO_SECRET.*Set it", _told(done))


def test_a_misspelt_key_names_the_nearest_one(site: Site, tmp_path: Path) -> None:
    """An unknown key is an error with file, line, column and the key that was probably meant."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    path = config / "tenants" / "900001002" / "connections" / "vigilo.yaml"
    path.write_text(path.read_text().replace("\nreaders:", "\nreadrs:"))
    said = _told(site.hub("check", "--config", str(config)))
    assert re.search(r"vigilo\.yaml:\d+:1: .*readrs.*readers", said)


def test_an_assumed_profile_runs_against_a_proven_sandbox_only(site: Site) -> None:
    """Without the sandbox's key nothing is called, and the way to confirm is told."""
    environ = {name: value for name, value in site.environ.items() if name != "STAFETTHUB_SANDBOX_KEY"}
    done = Site(site.folder, environ).hub("sync")
    said = _told(done)
    assert "are assumed" in said
    assert "confirmed: {by:" in said


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_dry_run_stores_and_sends_nothing(site: Site, url: str, tmp_path: Path) -> None:
    """A dry run tells what would be sent, on either database; afterwards it and all systems are as before."""
    config, data = tmp_path / "config", tmp_path / "data"
    shutil.copytree(ROOT / "config", config)
    with (config / "hub.yaml").open("a") as file:
        file.write("\ndatabase: ${env:DATABASE}\n")
    dry = site.hub("sync", "--dry-run", "--config", str(config), STAFETTHUB_DATA=str(data), DATABASE=url)
    assert dry.returncode == 0, dry.stderr
    assert "would send" in dry.stdout
    assert re.search(r"vigilo +\d+ +[1-9]\d* +0 +\d+ +[1-9]", dry.stdout)
    with closing(open_database(url)) as db, db.read() as tx:
        assert [tx.scalar(select(func.count()).select_from(each)) for each in (logs, runs, events)] == [0, 0, 0]
    assert list(data.glob(f"{PREFIX}*")) == []
    assert [*site.folder.glob("mapper/*/done/*"), *site.folder.glob("mapper/*/failed/*")] == []
    assert json.loads((site.folder / "sandbox" / "world.json").read_text())["received"] == []


def test_sync_status_inbox_and_trace_tell_what_happened(site: Site) -> None:
    """After a sync the status counts it, the inbox lists what waits, and a delivery can be followed."""
    assert "would send" not in site.hub("sync").stdout
    status = site.hub("status")
    assert re.search(r"vigilo +done", status.stdout)
    assert site.hub("status", "--health").stdout == ""
    inbox = site.hub("inbox", "list").stdout
    assert "quarantine: unmapped" in inbox
    assert "special_rule" in inbox
    assert "violence" not in inbox
    with sqlite3.connect(site.folder / "hub.db") as db:
        (delivery,) = db.execute("select delivery_id from deliveries where state = 'done' limit 1").fetchone()
    trace = site.hub("trace", delivery).stdout
    steps = ("was merged to version 1", "is ready to go", "is sent a change", "bytes left for", "has it: receipt")
    assert sorted(steps, key=trace.index) == list(steps)
    assert "Nothing is known" in site.hub("trace", "no-such-id").stderr


def test_a_short_listing_is_taken_for_whole_by_a_named_person_alone(synced: Site) -> None:
    """Without a connection, a person and a reason it is refused with what it takes; with them it is a run like any."""
    for given in (["--who", "drift-1"], ["vigilo", "--who", "drift-1"], ["vigilo", "--why", "Nedlagd"]):
        refused = synced.hub("sync", *given, "--accept-short-listing")
        assert (refused.returncode, "takes its name, --who and --why" in refused.stderr) == (1, True)
    taken = synced.hub("sync", "vigilo", "--accept-short-listing", "--who", "drift-1", "--why", "Skulen er nedlagd")
    assert taken.returncode == 0, taken.stderr
    with sqlite3.connect(synced.folder / "hub.db") as db:
        assert db.execute("select count(*) from runs where why = 'short_listing' and state = 'done'").fetchone() == (1,)


def test_a_trace_leads_from_the_run_to_the_archive(synced: Site) -> None:
    """By a run's id the logs that it changed are told, and by a record's those of its log, to the archive's proof."""
    with sqlite3.connect(synced.folder / "hub.db") as db:
        (log_id,) = db.execute("select log_id from archived limit 1").fetchone()
        query = "select connection, foreign_id, seen_in_run from records where log_id = ?"
        connection, record, _ = db.execute(query, (log_id,)).fetchone()
        (first,) = db.execute(
            "select run_id from runs where connection = ? order by queued_at", (connection,)
        ).fetchone()
    assert f"log {log_id}: what the systems say was merged" in synced.hub("trace", first).stdout
    told = synced.hub("trace", f"{connection.partition('/')[2]}/{record}").stdout
    steps = (
        log_id,
        "was routed",
        "a package for the archive was made",
        "the archive has proved that it has the package",
    )
    assert sorted(steps, key=told.index) == list(steps)


DECIDE = ("--who", "user-1", "--why", "Avtalt i møtet.")
ON_DUTY = ("--who", "it-vakt", "--why", "Avtalt i møtet.")


def _waiting(site: Site, *arguments: str) -> list[dict[str, str]]:
    """Give what waits, by `hub inbox list --json`."""
    found: list[dict[str, str]] = json.loads(site.hub("inbox", "list", "--json", *arguments).stdout)
    return found


def test_the_inbox_is_listed_by_kind_and_connection_and_shown_with_choices(synced: Site) -> None:
    """Of each thing: where, since when, whose it is, and what each choice leads to; never what a log holds."""
    assert {item["kind"] for item in _waiting(synced, "--kind", "quarantine")} == {"quarantine"}
    here = _waiting(synced, "--connection", "samspill")
    assert here
    assert {item["connection"] for item in here} <= {"900001002/samspill", ""}
    special = next(item for item in _waiting(synced, "--kind", "hold") if item["reason"] == "special_rule")
    shown = synced.hub("inbox", "show", special["id"]).stdout
    assert "decided by rule_owner" in shown
    assert "violence" not in shown + json.dumps(_waiting(synced))
    asked = synced.hub("inbox", "show", special["id"], "--reveal")
    assert "--who … --purpose …" in asked.stderr
    assert "Nothing waits under this id" in synced.hub("inbox", "show", "no-such-id").stderr


def test_a_conflict_is_opened_with_a_purpose_and_settled(synced: Site) -> None:
    """What the systems say is shown to whoever says who and what for; the choice is gone from the list and traced."""
    conflict = _waiting(synced, "--kind", "conflict")[0]
    assert "--take CONNECTION" in synced.hub("inbox", "show", conflict["id"]).stdout
    opened = synced.hub(
        "inbox", "show", conflict["id"], "--reveal", "--who", "user-1", "--purpose", "Skal velge."
    ).stdout
    assert re.findall(r"^(\S+): ", opened, re.MULTILINE) == ["900001002/samspill", "900001002/vigilo", "log"]
    done = synced.hub("inbox", "settle", conflict["id"], "--take", "vigilo", *DECIDE)
    assert done.returncode == 0, done.stderr
    assert conflict["id"] not in {item["id"] for item in _waiting(synced)}
    trace = synced.hub("trace", conflict["id"]).stdout
    assert "a person settled a conflict: 900001002/vigilo holds (user-1)" in trace
    assert "Avtalt" not in synced.hub("trace", conflict["log"]).stdout


def test_what_nobody_may_release_is_refused_with_the_remedy(synced: Site) -> None:
    """One line, exit code 1, and the hold stands."""
    hold = next(item for item in _waiting(synced, "--kind", "hold") if item["reason"] == "no_consent")
    refused = synced.hub("inbox", "release", hold["id"], *DECIDE)
    assert "can be released by nobody. It ends by itself when a valid consent names" in refused.stderr
    assert refused.returncode == 1
    assert hold["id"] in {item["id"] for item in _waiting(synced)}


def test_quarantine_is_replayed_from_the_command_line(synced: Site) -> None:
    """What still cannot be read stays, and is counted; an id that nothing waits under is told."""
    refused = _waiting(synced, "--kind", "quarantine")
    done = synced.hub("inbox", "replay", refused[0]["id"], *ON_DUTY)
    assert done.stdout == f"{refused[0]['connection']}: 1 read, 1 quarantined\n"
    assert "Nothing of this waits" in synced.hub("inbox", "replay", "no-such-id", *ON_DUTY).stderr
    assert "Name ids" in synced.hub("inbox", "replay", *ON_DUTY).stderr


def test_run_works_on_schedule_until_told_to_stop(site: Site, tmp_path: Path) -> None:
    """`hub run` takes what is due by itself and ends cleanly on SIGTERM."""
    config, data = tmp_path / "config", tmp_path / "data"
    shutil.copytree(ROOT / "config", config)
    for path in (config / "tenants" / "900001002" / "connections").glob("*.yaml"):
        path.write_text(path.read_text().replace("{every: 15m}", "{every: 1s}"))
    environ = {**os.environ, **site.environ, "STAFETTHUB_DATA": str(data)}
    command = [sys.executable, "-m", "hub", "run", "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not _runs_done(data / "hub.db") and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stderr
        assert "Traceback" not in process.stderr.read()
    assert _runs_done(data / "hub.db")


def _runs_done(path: Path) -> bool:
    """Tell whether at least two connections have a run on schedule behind them."""
    if not path.exists():
        return False
    with sqlite3.connect(path) as db:
        try:
            query = "select count(distinct connection) from runs where state = 'done' and why = 'schedule'"
            return bool(db.execute(query).fetchone()[0] >= 2)
        except sqlite3.OperationalError:
            return False


def test_a_paused_connection_is_left_alone_and_says_who(site: Site, tmp_path: Path) -> None:
    """A pause is a row: the next command meets it, the status names who, and resuming lets the same sync through."""
    data = {"STAFETTHUB_DATA": str(tmp_path / "data")}
    assert site.hub("pause", "vigilo", "--who", "kari.it", **data).returncode == 0
    done = site.hub("sync", "vigilo", **data)
    assert done.returncode == 1
    assert "paused" in done.stdout
    assert "paused by kari.it" in site.hub("status", **data).stdout
    assert site.hub("resume", "vigilo", "--who", "kari.it", **data).returncode == 0
    assert site.hub("sync", "vigilo", **data).returncode == 0
    archive = "900001002/folder"
    assert site.hub("pause", archive, "--who", "kari.it", **data).stdout == f"{archive} is paused\n"
    assert site.hub("resume", archive, "--who", "kari.it", **data).stdout == f"{archive} goes on\n"
    refused = site.hub("pause", "vigilo", "--who", "Solskinn Testbarn", **data)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """`hub keys new` makes a file for its owner alone, and never overwrites one."""
    path = tmp_path / "key.json"
    command = [sys.executable, "-m", "hub", "keys", "new", str(path)]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert first.returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "there is a key file already" in second.stderr


def test_the_schema_is_json_schema_of_every_entity() -> None:
    """`hub schema` prints one JSON document that describes the log and all its elements."""
    done = subprocess.run([sys.executable, "-m", "hub", "schema"], cwd=ROOT, capture_output=True, text=True, check=True)
    schema = json.loads(done.stdout)
    assert {"Measure", "Consent", "Handover", "Evaluation", "Closure"} <= set(schema["$defs"])
    assert "measures" in schema["properties"]
