"""The demo as a newcomer runs it: three runs as real processes, and what the simulated systems received.

What may reach whom is judged by rules written here anew from the wire, so that a mistake of the hub is not repeated.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.sandbox.drops import SYSTEMS, exports
from hub.sandbox.texts import PRIVATE_TEXTS
from hub.sandbox.world import Tale, World, make_world

CHILDREN, SEED = 60, 7
ROOT = Path(__file__).parent.parent
MARK = re.compile(r"^\[[^\]]* \d\d\.\d\d\.\d{4}\] ")


@dataclass(frozen=True)
class Runs:
    """Three runs on one folder: their summaries, the world before and after, and the folder."""

    folder: Path
    first: dict[str, Any]
    second: dict[str, Any]
    edited: dict[str, Any]
    before: World
    after: World


def _run(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    summary = folder / f"{name}.json"
    command = [sys.executable, "-m", "hub", "demo", "--dir", str(folder / "state"), "--json", str(summary), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    result: dict[str, Any] = json.loads(summary.read_text())
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run the demo three times: from nothing, again, and after edits."""
    folder = tmp_path_factory.mktemp("demo")
    size = ("--children", str(CHILDREN), "--seed", str(SEED))
    first = _run(folder, "first", *size)
    after = World.load(folder / "state" / "sandbox" / "world.json")
    second, edited = _run(folder, "second", *size), _run(folder, "edited", *size, "--edit", "20")
    before = make_world(CHILDREN, SEED, today=date.fromisoformat(after.today))
    return Runs(folder, first, second, edited, before, after)


def test_the_demo_reads_everything_and_fails_nowhere(runs: Runs) -> None:
    """Every record is read, the two broken ones of each system are in quarantine, and no delivery failed."""
    for name, records in (("vigilo", runs.before.vigilo), ("samspill", runs.before.samspill)):
        counts = runs.first["systems"][name]
        assert counts["read"] == len(records)
        assert counts["new"] == len(records) - 2
        assert counts["quarantined"] == 2
        assert counts["failed"] == 0
        assert counts["sent"] > 0


def test_systems_that_exchange_files_are_read_too(runs: Runs) -> None:
    """Each of them drops its records; every file ends in done, or in failed with its reason beside it."""
    for system in SYSTEMS:
        counts, folder = runs.first["systems"][system], runs.folder / "state" / "mapper" / system
        assert counts["read"] == len(exports(system)) >= 3
        assert counts["new"] + counts["quarantined"] == counts["read"]
        assert counts["new"] > 0
        assert not [path for path in (folder / "in").iterdir() if not path.name.startswith(".")]
        failed = [path for path in (folder / "failed").iterdir() if not path.name.endswith(".reason.txt")]
        assert len(failed) == counts["quarantined"]
        assert all(path.with_name(f"{path.name}.reason.txt").exists() for path in failed)


def test_a_second_run_is_silent(runs: Runs) -> None:
    """When nothing has changed, nothing is new, changed, sent or archived."""
    for counts in runs.second["systems"].values():
        assert (counts["new"], counts["changed"], counts["sent"]) == (0, 0, 0)
    assert runs.second["archived"] == 0
    assert runs.second["held"] == runs.first["held"]


def test_edits_alone_are_synced(runs: Runs) -> None:
    """After twenty edits exactly the edited records are changed, and no more is sent than they lead to."""
    systems = runs.edited["systems"]
    assert sum(counts["changed"] for counts in systems.values()) == 20
    assert sum(counts["new"] for counts in systems.values()) == 0
    assert 0 < sum(counts["sent"] for counts in systems.values()) <= 40


def test_every_stop_is_listed_with_its_reason(runs: Runs) -> None:
    """The children whose stories must not flow are each held by their rule."""
    assert {
        "violence",
        "address_protected",
        "guardian_barred",
        "no_consent",
        "consent_pending",
        "consent_withdrawn",
        "no_record_at_receiver",
    } <= set(runs.first["held"])


def test_exactly_the_closed_logs_that_may_be_are_archived(runs: Runs) -> None:
    """The national ids in the packages are those of the closed logs, less violence and strict protection."""
    archived = []
    for package in runs.first["packages"]:
        tree = etree.parse(Path(package) / "data" / "arkivmelding.xml")
        archived.append(tree.findtext(".//{*}personID/{*}identifikator") or "")
        assert (Path(package) / "data" / "dokumenter" / "001.pdf").read_bytes().startswith(b"%PDF-1.7")
    closed = {person for tale in runs.before.tales if tale.story != "broken" for person in _closed(tale, runs.before)}
    dropped = [person for system in SYSTEMS for path in exports(system) for person in _closed_drop(path)]
    assert sorted(archived) == sorted([*closed, *dropped])
    assert runs.first["archived"] == len(closed) + len(dropped)
    assert closed
    assert dropped


def _closed_drop(path: Path) -> list[str]:
    """Return the person of a dropped record that may be archived, by what stands beside it."""
    log = json.loads(path.with_name(f"{path.stem}.relaylog.json").read_text())
    protected = [each.get("address_protection") for each in (log["subject"], *log.get("guardians", ()))]
    may = not log.get("violence") and "strictly_confidential" not in protected and log.get("closure")
    return (
        [log["subject"].get("national_id", "")]
        if log.get("status") == "closed" and may and log["source"].get("id")
        else []
    )


def _closed(tale: Tale, world: World) -> set[str]:
    """Return the persons of a tale's closed records: a pregnant woman's log is her own."""
    logs = [world.vigilo[record] for record in tale.vigilo]
    plans = [world.samspill[record] for record in tale.samspill]
    if any(log["barn"]["adressevern"] == "STRENGT_FORTROLEG" or log["vald"] for log in logs):
        return set()
    persons = {plan["mainPerson"]["nationalId"] for plan in plans if plan["state"] == "avsluttet"}
    closed = [log for log in logs if log["status"] == "AVSLUTTA"]
    return persons | {world.persons[log["barn"]["personId"]]["nationalIdresourceNumber"] for log in closed}


def test_no_text_reaches_a_reader_without_a_consent_that_names_it(runs: Runs) -> None:
    """Each text that the hub brought into a system comes from the same child and is of a part that a consent opens."""
    today = date.fromisoformat(runs.after.today)
    brought = 0
    for tale in runs.before.tales:
        vigilo = [runs.before.vigilo[record] for record in tale.vigilo]
        samspill = [runs.before.samspill[record] for record in tale.samspill]
        consents = [*_vigilo_consents(vigilo), *_samspill_consents(samspill)] if tale.story != "broken" else []
        sources = {**dict(_vigilo_texts(vigilo)), **dict(_samspill_texts(samspill))}
        for record in tale.samspill:
            had, has = _words(runs.before.samspill[record]), _words(runs.after.samspill[record])
            brought += _judge(has - had, sources, consents, ("HELSESTASJON", "FAMILIE"), today)
        for record in tale.vigilo:
            had, has = _words(runs.before.vigilo[record]), _words(runs.after.vigilo[record])
            brought += _judge(has - had, sources, consents, (_unit(runs.before, record),), today)
    assert brought > 100, "the demo must really send texts both ways, or this test shows nothing"


def test_texts_that_no_consent_opens_stay_where_they_were_written(runs: Runs) -> None:
    """Own notes, notes about others and child welfare's own are in no body that a system received from elsewhere."""
    assert any(text in PRIVATE_TEXTS for record in runs.before.vigilo.values() for text in _words(record))
    for received in runs.after.received:
        own = getattr(runs.before, received.system)[received.record_id]
        assert not (_words(received.body) - _words(own)) & PRIVATE_TEXTS


def test_held_children_are_left_as_they_were(runs: Runs) -> None:
    """No system received anything about a child with violence, protection, pending, missing or withdrawn consent."""
    stories = ("violence", "protected_confidential", "protected_strict", "shared_residence_one_signed")
    for story in stories:
        told = runs.before.told(story)
        assert told
        for tale in told:
            assert not {received.record_id for received in runs.after.received} & {*tale.vigilo, *tale.samspill}


def _judge(
    new: set[str], sources: dict[str, str], consents: list[_Consent], readers: tuple[str, ...], today: date
) -> int:
    """Judge texts that are new in a record; return how many are somebody's text."""
    judged = 0
    for text in new:
        origin = sources.get(MARK.sub("", text))
        if origin is None:
            assert len(text) < 40, "a text that no system of this child had"
            continue
        judged += 1
        for reader in readers:
            mine = [consent for consent in consents if consent.reader == reader]
            assert mine, f"no consent names {reader}"
            assert all(consent.opens(origin, today) for consent in mine), f"{origin} is not opened to {reader}"
    return judged


@dataclass(frozen=True)
class _Consent:
    reader: str
    scope: frozenset[str]
    given: bool
    start: date | None
    end: date | None
    child_asked: bool

    def opens(self, part: str, day: date) -> bool:
        within = (self.start is None or self.start <= day) and (self.end is None or day <= self.end)
        asked = self.child_asked or part != "BARNETS_RØYST"
        return self.given and within and part in self.scope and asked


def _vigilo_consents(logs: list[dict[str, Any]]) -> Iterator[_Consent]:
    for consent in (each for log in logs for each in log["samtykke"]):
        start, end = (_nynorsk_day(consent[name]) for name in ("gjeldFra", "gjeldTil"))
        given = consent["status"] == "GITT" and consent["trekt"] is None
        yield _Consent(
            consent["mottakar"], frozenset(consent["omfang"]), given, start, end, consent["barnetSpurt"] is True
        )


SCOPES = {"pedagogisk": "PEDAGOGISK", "helse": "HELSE", "barnets_stemme": "BARNETS_RØYST", "ppt": "PPT"}


def _samspill_consents(plans: list[dict[str, Any]]) -> Iterator[_Consent]:
    for consent in (each for plan in plans for each in plan["consents"]):
        start, end = (date.fromisoformat(d) if (d := consent[n]) else None for n in ("validFrom", "validTo"))
        given = consent["state"] == "gitt" and consent["withdrawnOn"] is None
        scope = frozenset(SCOPES.get(part, part) for part in consent["scope"])
        yield _Consent(consent["toService"].upper(), scope, given, start, end, consent["childAsked"] is True)


def _nynorsk_day(text: str | None) -> date | None:
    return datetime.strptime(text, "%d.%m.%Y").date() if text else None  # noqa: DTZ007 - a day has no zone


def _vigilo_texts(logs: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the texts that kindergarten and school wrote, with the part that the wire gives them."""
    for log in logs:
        for name in ("uro", "mal", "tiltak", "mote", "avtalar", "stafettpinne"):
            for element in log.get(name) or []:
                yield from ((text, "PEDAGOGISK") for text in _words(element))
        for measure in log.get("tiltak") or []:
            yield from ((each["barnetsSyn"], "BARNETS_RØYST") for each in measure["vurderingar"] if each["barnetsSyn"])
        for talk in log.get("samtalar") or []:
            yield talk["tekst"], "BARNETS_RØYST"
        for note in log.get("notat") or []:
            yield note["tekst"], "PEDAGOGISK" if note["synleg"] == "DELT" else "NEVER"


EDUCATION = frozenset({"barnehage", "skole", "sfo", "familie"})
NOTE_PARTS = {"pedagogisk": "PEDAGOGISK", "helse": "HELSE", "ppt": "PPT", "barnets_stemme": "BARNETS_RØYST"}


def _samspill_texts(plans: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a plan with the part that writer and code give them."""
    for plan in plans:
        for name in ("concerns", "goals", "activities", "meetings", "agreements"):
            for element in plan.get(name) or []:
                part = _part(element["writtenBy"]["service"])
                yield from ((text, part) for text in _words(element))
        for activity in plan.get("activities") or []:
            for each in activity["evaluations"]:
                yield from ((text, _part(each["writtenBy"]["service"])) for text in _words(each))
                yield each["childView"] or "", "BARNETS_RØYST"
        for note in plan.get("notes") or []:
            yield note["text"], NOTE_PARTS.get(note["part"], "NEVER")


def _part(service: str) -> str:
    if service in EDUCATION:
        return "PEDAGOGISK"
    return {"ppt": "PPT", "barnevern": "NEVER"}.get(service, "HELSE")


def _unit(world: World, record: str) -> str:
    school = world.schools[world.vigilo[record]["skuleId"]]
    return "BARNEHAGE" if school["schoolType"] == "other" else "SKULE"


def _words(tree: Any) -> set[str]:
    """Return every text with a blank in it: names, sentences; codes and days have none."""
    if isinstance(tree, dict):
        return {word for value in tree.values() for word in _words(value)}
    if isinstance(tree, list):
        return {word for value in tree for word in _words(value)}
    return {tree} if isinstance(tree, str) and " " in tree else set()
