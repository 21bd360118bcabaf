"""Replay of files: what could not be decoded is taken in when it can be, and never over what is newer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hub.connectors.files import Folder, Settings, Template
from hub.mappings import load_shipped, shipped
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
from hub.store.decisions import Who
from hub.store.tables import QuarantineState, events, quarantine, records
from hub.sync.decide import Decisions
from hub.sync.pull import PullResult
from hub.sync.replay import ask_replay
from tests.sync.house import MAPPINGS, VIGILO, Detour, House

Tree = dict[str, Any]
WHO = Who("user-1", "Grensa for filer er heva.")
SMALL = {"limits": {"size": 1}}
"""Options that let no file in: all that was delivered could not be decoded."""


class _Limited:
    """A mapping whose payload has other limits than the shipped one."""

    def __init__(self, mapping: Any, options: Tree) -> None:
        self._mapping = mapping
        self.payload_options = {**mapping.payload_options, **options}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mapping, name)


@dataclass
class Site:
    """A connection that takes files of a mapping, and what is dropped there."""

    house: House
    folder: Path
    mapping: Any = field(default_factory=lambda: MAPPINGS[VIGILO])
    numbers: Any = field(default_factory=count)

    def limit(self, options: Tree, *, named: bool = True) -> None:
        """Let files in with these options of the payload from now on; unless `named`, no record's id can be told."""
        mapping = _Limited(self.mapping, options)
        form = payload(mapping.payload, mapping.payload_options)
        template = Template(form, lambda tree: str(tree["id"]) if named else "")
        connector = Folder(Settings(folder=self.folder, suffix=".x"), template, self.house.time.clock())
        connector.check()
        self.house.settle(VIGILO, mapping=mapping, connector=Detour(connector))

    def drop(self, data: bytes) -> PullResult:
        """Deliver a file and read it, a day after the last."""
        number = next(self.numbers)
        file = self.folder / "in" / f"{number}.x"
        file.write_bytes(data)
        os.utime(file, (number, number))  # it has lain there for long, so that it counts as whole
        return self.read()

    def read(self) -> PullResult:
        """Read what lies there, a day later."""
        self.house.time.after(days=1)
        return self.house.pull(VIGILO)

    def replay(self) -> PullResult:
        """Take in again what waits, a day later."""
        self.house.time.after(days=1)
        run_id = ask_replay(self.house.tenant, WHO, VIGILO)
        assert run_id
        return self.house.cycle.pull(self.house.tenant.connections[VIGILO], run_id)

    def waiting(self) -> list[str]:
        """Give the reasons of what waits."""
        return [row.reason for row in self.house.rows(quarantine, state=QuarantineState.OPEN)]


@pytest.fixture
def site(house: House, tmp_path: Path) -> Site:
    """A folder of Vigilo's own records."""
    made = Site(house, tmp_path / "folder")
    made.folder.mkdir()
    made.limit({})
    return made


@pytest.fixture
def told(site: Site) -> Callable[[str], bytes]:
    """Make a file of one record that says a text."""
    tree = json.loads((shipped()[site.mapping.id].parent / site.mapping.samples[0].record).read_bytes())

    def made(text: str) -> bytes:
        changed = deepcopy(tree)
        changed["notat"][0]["tekst"] = text
        return json.dumps(changed).encode()

    return made


def _notes(site: Site) -> set[str]:
    (row,) = site.house.rows(records)
    return {note.text for note in site.house.log_of(row.foreign_id).log.notes}


def test_a_file_that_can_be_decoded_at_last_is_taken_in(site: Site, told: Callable[[str], bytes]) -> None:
    """As it came, when it came: the same file again has nothing to change."""
    site.limit(SMALL)
    site.drop(told("Fyrst."))
    site.limit({})
    assert site.replay().counts["new"] == 1
    assert "Fyrst." in _notes(site)
    assert site.waiting() == []
    assert site.drop(told("Fyrst.")).counts["unchanged"] == 1


def test_a_record_whose_id_could_not_be_told_is_taken_in_under_it(site: Site, told: Callable[[str], bytes]) -> None:
    """A file that the mapping could not read, so that its record was nobody's, is known by its own id when it can."""
    site.limit({}, named=False)
    site.drop(told("Fyrst."))
    assert site.waiting() == ["no_id"]
    assert site.replay().counts["new"] == 1
    assert "Fyrst." in _notes(site)
    assert site.waiting() == []


def test_a_record_without_an_id_does_not_come_over_a_newer_one(site: Site, told: Callable[[str], bytes]) -> None:
    """When its id can be told, and something newer was read of it since, it waits for a person to close it."""
    site.limit({}, named=False)
    site.drop(told("Gammal tekst."))
    site.limit({})
    site.drop(told("Ny tekst."))
    for _ in range(2):
        assert site.replay().counts["quarantined"] == 1
        assert site.waiting() == ["overtaken"]
    assert "Ny tekst." in _notes(site)


def test_an_old_file_is_not_taken_in_over_a_newer_one(site: Site, told: Callable[[str], bytes]) -> None:
    """It waits, however often it is tried, until a person closes it; what the newer one said stands."""
    site.limit(SMALL)
    site.drop(told("Gammal tekst."))
    assert site.replay().counts["quarantined"] == 1
    site.limit({})
    site.drop(told("Ny tekst."))
    site.limit(SMALL)
    assert site.replay().counts["quarantined"] == 1  # to try it is not to deliver it
    site.limit({})
    for tried in (4, 5):
        result = site.replay()
        assert (result.counts["read"], result.counts["changed"], result.counts["quarantined"]) == (1, 0, 1)
        assert "Ny tekst." in _notes(site)
        (row,) = site.house.rows(quarantine, state=QuarantineState.OPEN)
        assert (row.reason, row.attempts) == ("overtaken", tried)
    assert "close this" in row.rule
    assert row.subject_hash is not None
    Decisions(site.house.tenant).dismiss(row.quarantine_id, WHO)
    assert site.waiting() == []


def test_files_of_one_record_are_replayed_in_the_order_they_came(site: Site, told: Callable[[str], bytes]) -> None:
    """All are taken in and the newest stands, also where an older content came once more after it."""
    site.limit(SMALL)
    for text in ("Fyrst.", "Sist.", "Fyrst.", "Midt i.", "Sist."):
        site.drop(told(text))
    site.limit({})
    result = site.replay()
    assert (result.counts["new"], result.counts["changed"], result.counts["quarantined"]) == (1, 2, 0)
    assert "Sist." in _notes(site)
    assert site.waiting() == []


def test_an_old_file_takes_nothing_from_a_newer_one_that_waits(site: Site, told: Callable[[str], bytes]) -> None:
    """A newer file whose record was refused is the one that a replay takes in when it can be read."""
    site.limit(SMALL)
    site.drop(told("Gammal tekst."))
    site.limit({})
    broken = json.loads(told("Ny tekst."))
    day, broken["oppretta"] = broken["oppretta"], "en dag i mai"
    site.drop(json.dumps(broken).encode())
    assert site.replay().counts["quarantined"] == 2
    assert sorted(site.waiting()) == ["overtaken", "unmapped"]
    broken["oppretta"] = day
    site.drop(json.dumps(broken).encode())
    assert site.waiting() == ["overtaken"]
    assert "Ny tekst." in _notes(site)


def test_a_newer_file_closes_the_record_that_an_older_one_left(site: Site, told: Callable[[str], bytes]) -> None:
    """A record that was refused under its own id waits no more once a newer file of it is taken in."""
    broken = json.loads(told("Gammal tekst."))
    broken["oppretta"] = "en dag i mai"
    site.drop(json.dumps(broken).encode())
    assert site.waiting() == ["unmapped"]
    site.drop(told("Ny tekst."))
    assert site.waiting() == []
    assert ask_replay(site.house.tenant, WHO, VIGILO) is None


def test_of_a_set_that_which_nothing_newer_follows_is_taken_in(house: House, tmp_path: Path) -> None:
    """Each record of a set of CSV files is looked at alone; the set waits while one of it is overtaken."""
    mapping = load_shipped("hkoppvekst/stafettlogg")
    form = payload(mapping.payload, mapping.payload_options)
    assert isinstance(form, CsvPayload)
    folder = shipped()[mapping.id].parent
    [(name, old)], [(other_name, other)] = (
        form.decode_set((folder / each.record).read_bytes()) for each in mapping.samples[:2]
    )
    second = f"{other_name}-2"
    site = Site(house, tmp_path / "folder", mapping)
    site.folder.mkdir()
    site.limit(SMALL)
    site.drop(form.encode_set([(name, old), (second, _under_other_keys(other))], None))
    site.limit({})
    newer: Any = deepcopy(old)
    newer["logg"]["notat"][0]["Tekst"] = "Ny tekst."
    assert site.drop(form.encode_set([(name, newer)], None)).counts["new"] == 1
    result = site.replay()
    assert (result.counts["read"], result.counts["new"], result.counts["quarantined"]) == (2, 1, 1)
    assert {row.foreign_id for row in house.rows(records)} == {name, second}
    assert "Ny tekst." in {note.text for note in house.log_of(name).log.notes}
    assert site.waiting() == ["overtaken"]
    assert site.replay().counts["unchanged"] == 1


def _under_other_keys(tree: Any) -> Any:
    """Give a record whose keys no other record in its set has."""
    if isinstance(tree, list):
        return [_under_other_keys(row) for row in tree]
    if isinstance(tree, dict):
        return {name: _new_key(value) if _is_key(name) else _under_other_keys(value) for name, value in tree.items()}
    return tree


def _is_key(column: str) -> bool:
    return column.endswith("ID") or column == "external_id"


def _new_key(key: str | None) -> str | None:
    return key and f"{key}-2"


# --- files that the operating system does not give ---------------------------------------------------------------


@pytest.mark.parametrize("mended", [True, False], ids=["readable", "gone"])
def test_a_file_that_cannot_be_read_waits_until_it_can_be_or_is_gone(
    site: Site, told: Callable[[str], bytes], *, mended: bool
) -> None:
    """The run is done, counts it each time and takes the others in; nobody need close it afterwards."""
    stuck = site.folder / "in" / "a.x"
    stuck.symlink_to(stuck)
    assert site.read().counts["quarantined"] == 1
    result = site.drop(told("Av ei anna fil."))
    assert (str(result.state), result.counts["new"], result.counts["quarantined"]) == ("done", 1, 1)
    assert site.waiting() == ["payload_no_access"]
    assert site.replay().counts["quarantined"] == 1
    stuck.unlink()
    if mended:
        stuck.write_bytes(told("Av fila sjølv."))
        os.utime(stuck, (99, 99))
    assert site.read().counts["changed"] == mended
    assert site.waiting() == []
    assert len(site.house.rows(events, action="hub:record:replayed")) == 1


def test_a_run_that_cannot_move_its_file_is_held_and_loses_nothing(site: Site, told: Callable[[str], bytes]) -> None:
    """It tells the place and what to do; the same file is read again and found unchanged."""
    (site.folder / "done").rmdir()
    (site.folder / "done").symlink_to("/proc/self/task")
    result = site.drop(told("Ei fil."))
    assert (str(result.state), result.error) == ("held", "no_access")
    assert "done/" in result.remedy
    (site.folder / "done").unlink()
    assert site.read().counts["unchanged"] == 1
    assert [path.name for path in (site.folder / "done").iterdir()] == ["0.x"]


def test_a_run_that_meets_a_full_disk_is_put_off(site: Site) -> None:
    """It is tried again by itself, and its file is read again."""
    (site.folder / "failed" / ".0.x.reason.txt.part").symlink_to("/dev/full")
    result = site.drop(b"{")
    assert (str(result.state), result.error) == ("queued", "disk_full")
    assert [path.name for path in (site.folder / "in").iterdir()] == ["0.x"]
