"""The demo as a newcomer runs it: three runs as real processes, and what the simulated systems received.

What may reach whom is judged by rules written here anew from the wire, so that a mistake of the hub is not repeated.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.sandbox.filesystems import FILE_SYSTEMS
from hub.sandbox.texts import CHILD_WELFARE_TEXTS, PRIVATE_TEXTS
from hub.sandbox.world import Tale, World, make_world

CHILDREN, SEED = 60, 7
ROOT = Path(__file__).parent.parent
MARK = re.compile(r"^\[[^\]]*( \d\d\.\d\d\.\d{4})?\] ")


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
    """Each drops its records; every file ends in done, or in failed with its reason beside it."""
    for system in FILE_SYSTEMS:
        counts, folder = runs.first["systems"][system], runs.folder / "state" / "mapper" / system
        held = [record for record in runs.before.files.values() if record["system"] == system]
        broken = [record for record in held if not record["record"]]
        assert counts["read"] == len(held)
        assert (counts["new"], counts["quarantined"]) == (len(held) - len(broken), len(broken))
        assert counts["failed"] == 0
        failed = [path for path in (folder / "failed").iterdir() if not path.name.endswith(".reason.txt")]
        assert len(failed) == len(broken)
        assert all(path.with_name(f"{path.name}.reason.txt").exists() for path in failed)
        assert list((folder / "done").iterdir())


def test_services_pick_up_what_they_are_sent(runs: Runs) -> None:
    """Where a consent opens a log to a service it is sent there, and nothing is left lying or turned away."""
    sent_to = {system for system in FILE_SYSTEMS if runs.first["systems"][system]["sent"]}
    assert sent_to == {"profil", "hkoppvekst", "barnevern", "infodoc", "compilo"}
    for system in FILE_SYSTEMS:
        assert not list((runs.folder / "state" / "mapper" / system / "out").iterdir())
        received = [each for each in runs.after.received if each.system == system]
        assert len(received) == runs.first["systems"][system]["sent"]


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
    assert {system for system in FILE_SYSTEMS if systems[system]["changed"]} == {"profil", "barnevern"}
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


STOPPED_BY = {
    "barred_guardian": "held: guardian_barred",
    "child_welfare_without_consent": "held: no_consent",
    "consent_withdrawn": "held: consent_withdrawn",
    "ordinary_school": "held: no_record_at_receiver",
    "paper_form": "asked: match",
    "ppt_without_consent": "held: no_consent",
    "protected_confidential": "held: free_text_unread",
    "protected_strict": "held: address_protected",
    "shared_conflict": "conflict",
    "shared_residence_one_signed": "held: consent_pending",
    "violence": "held: violence",
    "broken": "in quarantine",
}
SENT_OR_ARCHIVED = {
    "shared_level_2": "sent",
    "shared_residence_both_signed": "sent",
    "youth_of_16": "sent",
    "moved_away": "archived",
    "pregnant_to_child": "archived",
}


@pytest.mark.parametrize(("story", "became"), (STOPPED_BY | SENT_OR_ARCHIVED).items())
def test_each_child_shows_its_rule(runs: Runs, story: str, became: str) -> None:
    """The summary tells of every story what became of its children, and by which rule."""
    counts = runs.first["stories"][story]
    assert counts[became] > 0
    assert ("sent" in counts) <= (story in ("barred_guardian", "shared_conflict") or became == "sent")


def test_exactly_the_closed_logs_that_may_be_are_archived(runs: Runs) -> None:
    """The national ids in the packages are those of the closed logs, less violence and strict protection."""
    archived = []
    for package in runs.first["packages"]:
        tree = etree.parse(Path(package) / "data" / "arkivmelding.xml")
        archived.append(tree.findtext(".//{*}personID/{*}identifikator") or "")
        assert (Path(package) / "data" / "dokumenter" / "001.pdf").read_bytes().startswith(b"%PDF-1.7")
    closed = {person for tale in runs.before.tales if tale.story != "broken" for person in _closed(tale, runs.before)}
    assert sorted(archived) == sorted(closed)
    assert runs.first["archived"] == len(closed)
    assert any(tale.files for tale in runs.before.tales if tale.national_id in closed)


def _closed(tale: Tale, world: World) -> set[str]:
    """Return the persons of a tale's closed records: a pregnant woman's log is her own."""
    logs = [world.vigilo[record] for record in tale.vigilo]
    plans = [world.samspill[record] for record in tale.samspill]
    if any(log["barn"]["adressevern"] == "STRENGT_FORTROLEG" or log["vald"] for log in logs):
        return set()
    persons = {plan["mainPerson"]["nationalId"] for plan in plans if plan["state"] == "avsluttet"}
    closed = [log for log in logs if log["status"] == "AVSLUTTA"]
    sets = [_tree(world, key)["logg"] for key in tale.files if key.startswith("hkoppvekst/")]
    persons |= {log["metadata"][0]["nin"] for log in sets if log["Status"] == "Avslutta"}
    return persons | {world.persons[log["barn"]["personId"]]["nationalIdresourceNumber"] for log in closed}


def test_no_text_reaches_a_reader_without_a_consent_that_names_it(runs: Runs) -> None:
    """Each text that the hub brought into a system comes from the same child and is of a part that a consent opens."""
    today = date.fromisoformat(runs.after.today)
    brought = dict.fromkeys(("vigilo", "samspill", *FILE_SYSTEMS), 0)
    for tale in runs.before.tales:
        vigilo = [runs.before.vigilo[record] for record in tale.vigilo]
        samspill = [runs.before.samspill[record] for record in tale.samspill]
        consents = [*_vigilo_consents(vigilo), *_samspill_consents(samspill)] if tale.story != "broken" else []
        sources = dict(text for key in tale.files for text in _file_texts(key, _tree(runs.before, key)))
        sources |= {**dict(_vigilo_texts(vigilo)), **dict(_samspill_texts(samspill))}
        for record in tale.samspill:
            had, has = _words(runs.before.samspill[record]), _words(runs.after.samspill[record])
            brought["samspill"] += _judge(has - had, sources, consents, ("HELSESTASJON", "FAMILIE"), today)
        for record in tale.vigilo:
            had, has = _words(runs.before.vigilo[record]), _words(runs.after.vigilo[record])
            brought["vigilo"] += _judge(has - had, sources, consents, (_unit(runs.before, record),), today)
        for key in tale.files:
            had, has = _words(_tree(runs.before, key)), _words(_tree(runs.after, key))
            system = key.partition("/")[0]
            brought[system] += _judge(has - had, sources, consents, (FILE_READERS[system],), today)
    assert sum(brought.values()) > 100, "the demo must really send texts both ways, or this test shows nothing"
    assert {system for system, texts in brought.items() if not texts} == {"familia", "papirskjema"}


def test_texts_that_no_consent_opens_stay_where_they_were_written(runs: Runs) -> None:
    """Own notes, notes about others and child welfare's own are in no body that a system received from elsewhere."""
    closed = PRIVATE_TEXTS | CHILD_WELFARE_TEXTS
    own = [_words(record) for record in runs.before.vigilo.values()]
    own += [_words(_tree(runs.before, key)) for tale in runs.before.tales for key in tale.files]
    assert sum(bool(_unmarked(words) & closed) for words in own) > 20
    for received in runs.after.received:
        had = _unmarked(_words(_record(runs.before, received.system, received.record_id)))
        assert not (_unmarked(_words(received.body)) - had) & closed


def test_a_service_that_no_consent_names_is_sent_nothing(runs: Runs) -> None:
    """Its record stands as it was told, also where its own texts may reach others; so does what is only read."""
    stories = ("therapy_without_consent", "ppt_without_consent", "child_welfare_without_consent")
    for story in (*stories, "child_welfare_in_the_old_system", "paper_form"):
        (tale,) = runs.before.told(story)
        (key,) = tale.files
        assert runs.after.files[key]["data"] == runs.before.files[key]["data"]
    (tale,) = runs.before.told("therapy_without_consent")
    assert tale.vigilo[0] in {received.record_id for received in runs.after.received}


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
            names = [text] if text.endswith(".") else re.split("[,;] ", text)  # files list people in one line
            assert max(map(len, names)) < 40, "a text that no system of this child had"
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


FILE_READERS = {
    "profil": "FYSIO_ERGO",
    "hkoppvekst": "PPT",
    "barnevern": "BARNEVERN",
    "familia": "BARNEVERN",
    "infodoc": "SKULEHELSE",
    "compilo": "BARNEHAGE",
    "papirskjema": "BARNEHAGE",
}
FILE_PARTS = {
    "profil": "HELSE",
    "hkoppvekst": "PPT",
    "barnevern": "NEVER",
    "familia": "NEVER",
    "infodoc": "HELSE",
    "compilo": "PEDAGOGISK",
    "papirskjema": "PEDAGOGISK",
}
VOICES = frozenset({"BarnetSyn", "barnetsSyn", "bv:BarnetsMedvirkning", "barnet si røyst"})


def _tree(world: World, key: str) -> dict[str, Any]:
    """Return a record of a system that exchanges files."""
    return FILE_SYSTEMS[key.partition("/")[0]].format.decode(b64decode(world.files[key]["data"]))


def _record(world: World, system: str, record_id: str) -> dict[str, Any]:
    if system in FILE_SYSTEMS:
        return _tree(world, f"{system}/{record_id}")
    found: dict[str, Any] = getattr(world, system)[record_id]
    return found


def _file_texts(key: str, tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the sentences of a file with their part: the writing service's, the child's, or nobody else's."""
    if isinstance(tree, dict):
        for inner, value in tree.items():
            yield from _file_texts(key, value, inner)
    elif isinstance(tree, list):
        for value in tree:
            yield from _file_texts(key, value, name)
    elif isinstance(tree, str) and " " in tree and tree.endswith("."):
        text = MARK.sub("", tree)
        part = "BARNETS_RØYST" if name in VOICES else FILE_PARTS[key.partition("/")[0]]
        yield text, "NEVER" if text in PRIVATE_TEXTS else part


def _unmarked(texts: set[str]) -> set[str]:
    return {MARK.sub("", text) for text in texts}
