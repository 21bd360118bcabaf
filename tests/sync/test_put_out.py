"""A system that exchanges files: what was put out for it is in it once its own file shows it, and not before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.connectors.base import Tree
from hub.connectors.files import Folder, Settings, Template
from hub.payloads.registry import payload
from hub.store.tables import ConflictState, ProposalState, conflicts, proposals, runs
from tests.sync.house import SAMSPILL, VIGILO, Detour, House
from tests.sync.test_deliver import _settled

OLD, NEW = "Hørselen er undersøkt og normal.", "Hørselen er svekket, ny kontroll i mars."
MORE = "Ny kontroll er bestilt."
OWN = "Eiga ny endring."
Edit = Callable[[Tree], None]


class Exchanged:
    """The kindergarten's system, which only imports and exports files, when somebody thinks of it."""

    def __init__(self, house: House, box: Path) -> None:
        self._house, self._box, self._files = house, box, 0
        self.record: Tree = house.detours[VIGILO].real.fetch("vl-000001").tree
        template = Template(payload("json", {}), lambda tree: str(tree["id"]))
        folder = Folder(Settings(folder=box, suffix=".json"), template, house.time.clock())
        folder.check()
        house.settle(VIGILO, connector=Detour(folder))
        house.sync()

    def exports(self, edit: Edit | None = None) -> None:
        """Let somebody edit the record, export it, and let the hub run until it has nothing more to do."""
        if edit is not None:
            edit(self.record)
        self._files += 1
        file = self._box / "in" / f"{self._files}.json"
        file.write_text(json.dumps(self.record), encoding="utf-8")
        os.utime(file, (self._files, self._files))
        self._runs()

    def imports(self) -> None:
        """Let somebody import everything that lies there, in order."""
        for file in self.waiting():
            self.record = json.loads(file.read_bytes())
            file.unlink()

    def waiting(self) -> list[Path]:
        """Give what was put out and not imported yet, the oldest first."""
        return sorted((self._box / "out").iterdir())

    def others_write(self, text: str) -> None:
        """Let the health station write over its note in its own system."""
        _noted(self._house)["text"] = text
        self._house.saved(self._house.samspill())
        self._runs()

    def _runs(self) -> None:
        for _ in range(2):
            self._house.time.after(hours=1)
            self._house.sync()


@pytest.fixture
def exchanged(house: House, tmp_path: Path) -> Exchanged:
    """Give the kindergarten's system after both systems agreed, and news put out for it."""
    _settled(house)
    system = Exchanged(house, tmp_path)
    system.others_write(NEW)
    assert len(system.waiting()) == 1
    return system


def _noted(house: House) -> Tree:
    mine = (note for note in house.samspill()["notes"] if note["writtenBy"]["service"] == "helsestasjon")
    return next(note for note in mine if note["text"].startswith("Hørselen"))


def _texts(record: Tree) -> str:
    return json.dumps(record, ensure_ascii=False)


def _own(text: str) -> Edit:
    def edit(record: Tree) -> None:
        record["notat"][0]["tekst"] = text

    return edit


def _theirs(old: str, text: str) -> Edit:
    """Let the kindergarten write over the health station's text, as it stands in its own record."""

    def edit(record: Tree) -> None:
        changed = [row for row in record["notat"] if old in row["tekst"]]
        assert len(changed) == 1
        changed[0]["tekst"] = changed[0]["tekst"].replace(old, text)

    return edit


def _asked(house: House) -> tuple[int, int]:
    """Give how many conflicts and proposals are open."""
    return (
        len(house.rows(conflicts, state=ConflictState.OPEN)),
        len(house.rows(proposals, state=ProposalState.OPEN)),
    )


def test_an_export_from_before_the_import_undoes_nothing(house: House, exchanged: Exchanged) -> None:
    """The export has an edit of its own and the old words beside it: the edit goes out, the news stands everywhere."""
    exchanged.exports(_own(OWN))
    assert _noted(house)["text"] == NEW
    assert OWN in _texts(house.samspill())
    assert _asked(house) == (0, 0)
    exchanged.imports()
    assert NEW in _texts(exchanged.record)
    assert OWN in _texts(exchanged.record), "the last file that was put out holds both"
    exchanged.exports()
    assert exchanged.waiting() == []
    assert _noted(house)["text"] == NEW


def test_an_export_without_edits_is_answered_by_nothing(house: House, exchanged: Exchanged) -> None:
    """What lies in `out/` already is not put there again for each export that comes before the import."""
    for _ in range(3):
        exchanged.exports()
    assert len(exchanged.waiting()) == 1
    assert _noted(house)["text"] == NEW
    before = len(house.rows(runs))
    exchanged.imports()
    exchanged.exports()
    assert {run.counts["changed"] for run in house.rows(runs)[before:]} == {0}, "it only shows what was put out"
    assert _asked(house) == (0, 0)


def test_what_was_shown_once_can_be_written_back(house: House, exchanged: Exchanged) -> None:
    """After an export that shows the news, the old words are an edit as any other."""
    exchanged.imports()
    exchanged.exports()
    exchanged.exports(_theirs(NEW, OLD))
    assert _noted(house)["text"] == OLD
    assert _asked(house) == (0, 0)


def test_what_was_written_without_the_news_is_a_conflict(house: House, exchanged: Exchanged) -> None:
    """Who writes over the old words before importing has not seen the new ones: a person is asked, nothing is lost."""
    exchanged.exports(_theirs(OLD, "Hørselen skal undersøkes."))
    assert _noted(house)["text"] == NEW
    assert _asked(house) == (1, 0)


def test_what_was_written_on_top_of_the_news_is_an_edit(house: House, exchanged: Exchanged) -> None:
    """Who has imported, and writes on, knew: other places of the export show that."""
    house.samspill()["notes"].append(dict(_noted(house), noteId="N-99", text=MORE))
    exchanged.others_write(NEW)
    exchanged.imports()
    exchanged.exports(_theirs(NEW, f"{NEW} Følges opp."))
    assert _noted(house)["text"] == f"{NEW} Følges opp."
    assert _asked(house) == (0, 0)


def test_a_new_element_that_is_not_imported_yet_is_not_deleted(house: House, exchanged: Exchanged) -> None:
    """A note that was put out, and that the next export lacks, stays; nobody is asked whether it is gone."""
    house.samspill()["notes"].append(dict(_noted(house), noteId="N-99", text=MORE))
    exchanged.others_write(NEW)
    exchanged.exports(_own(OWN))
    assert MORE in _texts(house.samspill())
    assert _asked(house) == (0, 0)
    exchanged.imports()
    exchanged.exports()
    assert MORE in _texts(exchanged.record)
    assert (_asked(house), exchanged.waiting()) == ((0, 0), [])


def test_what_was_emptied_is_emptied_in_the_next_file_too(exchanged: Exchanged) -> None:
    """A text that was emptied on purpose stays empty, also in the file that answers an export from before."""
    exchanged.others_write("")
    exchanged.exports(_own(OWN))
    exchanged.imports()
    assert OLD not in _texts(exchanged.record)
    assert NEW not in _texts(exchanged.record)
    assert OWN in _texts(exchanged.record)


def test_what_is_on_its_way_is_known_after_a_restart(house: House, exchanged: Exchanged) -> None:
    """What its own file said lies sealed with the record, and not in the log."""
    side = house.log_of("vl-000001").side(VIGILO)
    assert side is not None
    assert side.told is not None
    assert OLD in side.told.model_dump_json()
    assert OLD not in side.seen.model_dump_json()
    exchanged.imports()
    exchanged.exports()
    side = house.log_of("vl-000001").side(VIGILO)
    assert side is not None
    assert side.told is None
    assert house.log_of("vl-000001").side(SAMSPILL) is not None
