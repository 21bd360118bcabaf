"""The watched folder: only whole files are taken, each ends where a person finds it, and what is written is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.connectors.base import Misconfigured, Outgoing, Page, Refused, SourceRecord, Unavailable
from hub.connectors.files import BOXES, MAX_BYTES, Folder, Settings, Template
from hub.connectors.http import Clock
from hub.payloads.base import Limits, Tree
from hub.payloads.registry import payload
from hub.payloads.zips import pack, unpack

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def _name(tree: Tree) -> str:
    return str(tree.get("id", ""))


@dataclass
class Site:
    """A folder with its four boxes, and the connector on it."""

    folder: Path
    connector: Folder

    def put(self, name: str, data: bytes, *, quiet: timedelta = timedelta(minutes=1)) -> Path:
        """Let the system put a file that has not changed for a while."""
        path = self.folder / "in" / name
        path.write_bytes(data)
        at = (NOW - quiet).timestamp()
        os.utime(path, (at, at))
        return path

    def names(self, box: str) -> list[str]:
        """List a box."""
        return sorted(path.name for path in (self.folder / box).iterdir())


Make = Callable[..., Site]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a folder connection that takes JSON."""

    def made(**settings: str) -> Site:
        clock = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _: None)
        chosen = Settings.model_validate({"folder": tmp_path, "suffix": ".json", **settings})
        connector = Folder(chosen, Template(payload("json", {}), _name), clock)
        connector.check()
        return Site(tmp_path, connector)

    return made


def test_a_whole_file_is_read_and_then_moved_to_done(make: Make) -> None:
    """Reading moves nothing; once what it said is stored, the file lies in done/ and is not read again."""
    site = make()
    site.put("a.json", b'{"id": "1"}')
    (page,) = site.connector.pages()
    assert [(record.id, record.tree) for record in page.records] == [("1", {"id": "1"})]
    assert site.names("in") == ["a.json"]
    site.connector.settle(page, {})
    assert (site.names("in"), site.names("done")) == ([], ["a.json"])
    assert list(site.connector.pages()) == []


def test_a_file_that_is_being_written_is_left_alone(make: Make) -> None:
    """Neither a file that changed a moment ago, nor one named as unfinished, nor a hidden one is taken."""
    site = make()
    site.put("a.json", b"{}", quiet=timedelta(seconds=3))
    site.put("b.json.part", b"{}")
    site.put(".c.json", b"{}")
    assert list(site.connector.pages()) == []


def test_with_a_marker_only_marked_files_are_whole(make: Make) -> None:
    """A file is taken when its marker lies beside it, however fresh, and the marker goes with it."""
    site = make(marker=".ok")
    site.put("a.json", b'{"id": "1"}', quiet=timedelta())
    assert list(site.connector.pages()) == []
    site.put("a.json.ok", b"")
    (page,) = site.connector.pages()
    site.connector.settle(page, {})
    assert (site.names("in"), site.names("done")) == ([], ["a.json"])


def test_a_broken_file_ends_in_failed_with_its_reason(make: Make) -> None:
    """The reason names kind, place and remedy, and nothing that the file holds."""
    site = make()
    site.put("a.json", b'{"id": "SECRET')
    (page,) = site.connector.pages()
    assert (page.records, len(page.unreadable)) == ((), 1)
    site.connector.settle(page, {})
    assert site.names("failed") == ["a.json", "a.json.reason.txt"]
    reason = (site.folder / "failed" / "a.json.reason.txt").read_text()
    assert reason.startswith("syntax: ")
    assert "SECRET" not in reason


def test_a_refused_record_takes_its_file_to_failed(make: Make) -> None:
    """What the hub could not take in is told beside the file, and two files of one name keep apart."""
    site = make()
    for _ in range(2):
        site.put("a.json", b'{"id": "1"}')
        (page,) = site.connector.pages()
        site.connector.settle(page, {"1": "unmapped: /barn (line 12: subject.name)"})
    assert [name for name in site.names("failed") if name.endswith(".json")] == ["a.1.json", "a.json"]
    assert "line 12" in (site.folder / "failed" / "a.1.json.reason.txt").read_text()


def test_files_are_taken_in_the_order_they_came(make: Make) -> None:
    """The oldest first, so that a later version of a record wins."""
    site = make()
    site.put("new.json", b'{"id": "2"}', quiet=timedelta(minutes=1))
    site.put("old.json", b'{"id": "1"}', quiet=timedelta(minutes=9))
    assert [page.records[0].id for page in site.connector.pages()] == ["1", "2"]


def test_a_change_is_one_whole_file_and_the_same_again_is_the_same(make: Make) -> None:
    """A delivery is written once under its own key; sent again it is answered alike."""
    site = make()
    site.put("a.json", b'{\n  "id": "1",\n  "x": 1\n}\n')
    before = next(iter(site.connector.pages())).records[0]
    outgoing = Outgoing(before, {"id": "1", "x": 2}, "key-1")
    accepted = site.connector.update(outgoing)
    assert site.names("out") == ["key-1.json"]
    assert (site.folder / "out" / "key-1.json").read_bytes() == b'{\n  "id": "1",\n  "x": 2\n}\n'
    assert (accepted.record.id, accepted.record.tree) == ("1", {"id": "1", "x": 2})
    assert site.connector.update(outgoing) == accepted


def test_what_was_written_before_is_what_the_delivery_said(make: Make) -> None:
    """Sent again on top of a newer record, the file that lies there stays, and the answer is what it says."""
    site = make()
    before = SourceRecord("1", "v1", {"id": "1", "x": 1})
    accepted = site.connector.update(Outgoing(before, {"id": "1", "x": 2}, "key-1"))
    newer = SourceRecord("1", "v2", {"id": "1", "x": 1, "y": 1})
    assert site.connector.update(Outgoing(newer, {"id": "1", "x": 2, "y": 1}, "key-1")) == accepted
    assert accepted.record.tree == {"id": "1", "x": 2}
    assert site.names("out") == ["key-1.json"]


@pytest.mark.parametrize("data", [b'{"id": "2"}', b'{"id": "1', b""], ids=["another record", "cut off", "nothing"])
def test_a_file_under_the_key_that_is_no_such_change_is_refused(make: Make, data: bytes) -> None:
    """It is left for a person to look at, and nothing is written over it."""
    site = make()
    (site.folder / "out" / "key-1.json").write_bytes(data)
    with pytest.raises(Refused, match="Move it away") as caught:
        site.connector.update(Outgoing(SourceRecord("1", "v1", {"id": "1"}), {"id": "1", "x": 2}, "key-1"))
    assert caught.value.code == "other_content"
    assert (site.folder / "out" / "key-1.json").read_bytes() == data


HEADER = "LoggID;Fornavn;Område;Intern kode\r\n"
ROWS = ('1;Solskinn Testbarn;Språk;"x;1"\r\n', "2;Regn Testbarn;Lek;x2\r\n", "3;Vind Testbarn;Søvn;x3\r\n")
MEASURES = 'TiltakID,LoggID,Tekst\nT1,1,Lek\nT2,2,"Les, skriv"\nT3,2,Tur\n'


@pytest.fixture
def exported(tmp_path: Path) -> Site:
    """A folder connection that takes CSV sets, with a set of three records in it: two files, in Windows-1252."""
    files = {"logg": {"key": "LoggID"}, "tiltak": {"key": "TiltakID", "parent": "logg/LoggID"}}
    clock = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _: None)
    chosen = Settings(folder=tmp_path, suffix=".zip")
    connector = Folder(chosen, Template(payload("csv", {"files": files}), _name), clock)
    connector.check()
    site = Site(tmp_path, connector)
    texts = {"ut/logg.csv": HEADER + "".join(ROWS), "ut/tiltak.csv": MEASURES}
    site.put("sett.zip", pack({name: text.encode("cp1252") for name, text in texts.items()}))
    return site


def test_a_record_of_a_set_goes_back_in_the_manner_of_its_set(exported: Site) -> None:
    """Its rows alone, with the set's names, header, extra column, delimiter of each file, line ends and encoding."""
    (page,) = exported.connector.pages()
    assert [record.id for record in page.records] == ["1", "2", "3"]
    before = page.records[1]
    rows = [{"TiltakID": "T2", "LoggID": "2", "Tekst": "Møte"}, {"TiltakID": "T3", "LoggID": "2", "Tekst": "Tur"}]
    after: Tree = {"logg": {**before.tree["logg"], "Område": "Søvn", "tiltak": rows}}
    accepted = exported.connector.update(Outgoing(before, after, "key-1"))
    written = unpack((exported.folder / "out" / "key-1.zip").read_bytes(), Limits())
    assert {name: content.decode("cp1252") for name, content in written.items()} == {
        "ut/logg.csv": HEADER + "2;Regn Testbarn;Søvn;x2\r\n",
        "ut/tiltak.csv": "TiltakID,LoggID,Tekst\nT2,2,Møte\nT3,2,Tur\n",
    }
    assert (accepted.record.id, accepted.record.tree) == ("2", after)


def test_a_record_of_a_set_holds_nobody_elses_rows(exported: Site) -> None:
    """The file that is kept with a record is its own part of the set, and reads as the record."""
    (page,) = exported.connector.pages()
    kept = [record.original or b"" for record in page.records]
    assert [unpack(own, Limits())["ut/logg.csv"].count(b"Testbarn") for own in kept] == [1, 1, 1]
    unchanged = exported.connector.update(Outgoing(page.records[0], page.records[0].tree, "key-0"))
    assert unchanged.record == page.records[0]
    assert (exported.folder / "out" / "key-0.zip").read_bytes() == kept[0]


def test_a_file_that_is_too_large_does_not_stop_the_others(make: Make) -> None:
    """It ends in failed/ with its reason, unread, and the files around it are taken."""
    site = make()
    site.put("a.json", b'{"id": "1"}', quiet=timedelta(minutes=9))
    site.put("b.json", b"{}")
    os.truncate(site.folder / "in" / "b.json", MAX_BYTES + 1)
    os.utime(site.folder / "in" / "b.json", ((NOW - timedelta(minutes=8)).timestamp(),) * 2)
    site.put("c.json", b'{"id": "3"}', quiet=timedelta(minutes=7))
    pages = list(site.connector.pages())
    assert [[record.id for record in page.records] for page in pages] == [["1"], [], ["3"]]
    assert [(each.code, each.data) for page in pages for each in page.unreadable] == [("size", b"")]
    for page in pages:
        site.connector.settle(page, {})
    assert (site.names("done"), site.names("failed")) == (["a.json", "c.json"], ["b.json", "b.json.reason.txt"])
    assert "Split it" in (site.folder / "failed" / "b.json.reason.txt").read_text()


def test_a_missing_folder_is_told_with_the_remedy(make: Make) -> None:
    """A share that is not mounted is not replaced by a new folder."""
    site = make()
    for box in BOXES:
        (site.folder / box).rmdir()
    site.folder.rmdir()
    with pytest.raises(Misconfigured, match="mount it"):
        list(site.connector.pages())


def test_a_folder_never_says_that_something_is_gone(make: Make) -> None:
    """What is not in the folder is not gone: a listing is never whole, and a page of nothing is no page."""
    assert make().connector.lists_all is False
    assert Page(()).records == ()


def _loop(site: Site, name: str) -> Path:
    """Put something that the operating system gives nobody, whoever asks: a link to itself."""
    path = site.folder / "in" / name
    path.symlink_to(path)
    return path


@pytest.mark.parametrize("marker", ["", ".ok"])
def test_a_file_that_cannot_be_read_stops_no_other(make: Make, marker: str) -> None:
    """It stays in in/ and is told of, alike each time, without its name; the others are taken."""
    site = make(marker=marker)
    _loop(site, "Solskinn Testbarn.json")
    site.put("b.json", b'{"id": "2"}')
    for name in ("Solskinn Testbarn.json", "b.json") if marker else ():
        (site.folder / "in" / f"{name}{marker}").touch()
    first, second = site.connector.pages()
    (told,) = first.unreadable
    assert (first.records, told.code, told.data) == ((), "no_access", b"")
    assert "let the hub's user read it" in told.remedy
    assert "Solskinn" not in f"{told.id} {told.place} {told.remedy}"
    assert [record.id for record in second.records] == ["2"]
    site.connector.settle(first, {})
    site.connector.settle(second, {})
    assert (site.names("done"), site.names("failed")) == (["b.json"], [])
    assert "Solskinn Testbarn.json" in site.names("in")
    (again,) = site.connector.pages()
    assert again == first


def test_a_file_whose_reason_could_have_no_name_stays(make: Make) -> None:
    """A name as long as names may be leaves no room for that of the reason beside it; the others are taken."""
    site = make(marker=".ok")
    long = "x" * 245 + ".json"
    for name in (long, f"{long}.ok", "y" * 254, "b.json.ok"):
        site.put(name, b"")
    site.put("b.json", b'{"id": "2"}')
    pages = list(site.connector.pages())
    for page in pages:
        site.connector.settle(page, {})
    assert [each.code for page in pages for each in page.unreadable] == ["no_access"]
    assert (site.names("done"), long in site.names("in")) == (["b.json"], True)


def test_a_file_that_goes_before_it_is_read_is_passed_over(make: Make) -> None:
    """The others are taken; one that turns into something else is told of."""
    site = make()
    for number in range(1, 5):
        site.put(f"{number}.json", b'{"id": "%d"}' % number, quiet=timedelta(minutes=9 - number))
    pages = site.connector.pages()
    found = [next(pages)]
    (site.folder / "in" / "2.json").unlink()
    (site.folder / "in" / "3.json").unlink()
    (site.folder / "in" / "3.json").mkdir()
    found += pages
    assert [[record.id for record in page.records] for page in found] == [["1"], [], ["4"]]
    assert [each.code for page in found for each in page.unreadable] == ["no_access"]


def test_a_file_that_goes_before_it_is_moved_is_done_with(make: Make) -> None:
    """What it said is stored: somebody who takes it away stops nothing."""
    site = make()
    path = site.put("a.json", b'{"id": "1"}')
    (page,) = site.connector.pages()
    path.unlink()
    site.connector.settle(page, {})
    assert (site.names("in"), site.names("done")) == ([], [])


def test_a_folder_that_goes_while_it_is_read_is_told_as_one(make: Make) -> None:
    """Where in/ itself can be read no more, no single file of it is at fault."""
    site = make()
    for number in (1, 2):
        site.put(f"{number}.json", b'{"id": "1"}', quiet=timedelta(minutes=9 - number))
    pages = site.connector.pages()
    next(pages)
    (site.folder / "in").rename(site.folder / "elsewhere")
    (site.folder / "in").touch()
    with pytest.raises(Misconfigured, match="in/: Not a directory") as caught:
        next(pages)
    assert caught.value.code == "no_access"


def test_a_file_that_cannot_be_moved_is_read_again(make: Make) -> None:
    """A person is told what to mend, and the file stays where it is until then."""
    site = make()
    site.put("a.json", b'{"id": "1"}')
    (page,) = site.connector.pages()
    (site.folder / "done").rmdir()
    (site.folder / "done").touch()
    with pytest.raises(Misconfigured, match="done/: Not a directory") as caught:
        site.connector.settle(page, {})
    assert caught.value.code == "no_access"
    with pytest.raises(Misconfigured, match="done/: File exists"):
        list(site.connector.pages())
    (site.folder / "done").unlink()
    assert list(site.connector.pages()) == [page]


def test_a_full_disk_puts_off_what_was_to_be_moved(make: Make) -> None:
    """No reason is half written, and the file is read again; when there is room it goes where it belongs."""
    site = make()
    site.put("a.json", b"{")
    (page,) = site.connector.pages()
    (site.folder / "failed" / ".a.json.reason.txt.part").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="failed/: No space left on device") as caught:
        site.connector.settle(page, {})
    assert caught.value.code == "disk_full"
    assert (site.names("in"), site.names("failed")) == (["a.json"], [])
    site.connector.settle(page, {})
    assert (site.names("in"), site.names("failed")) == ([], ["a.json", "a.json.reason.txt"])


def test_a_full_disk_takes_no_change_in(make: Make) -> None:
    """Nothing counts as written, and nothing half written stays; the next attempt writes it whole."""
    site = make()
    site.put("a.json", b'{"id": "1"}')
    before = next(iter(site.connector.pages())).records[0]
    outgoing = Outgoing(before, {"id": "1", "x": 2}, "key-1")
    (site.folder / "out" / ".key-1.json.part").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="out/: No space left on device") as caught:
        site.connector.update(outgoing)
    assert (caught.value.code, site.names("out")) == ("disk_full", [])
    assert site.connector.update(outgoing).record.tree == {"id": "1", "x": 2}
    assert site.names("out") == ["key-1.json"]


def test_a_change_that_cannot_be_read_back_counts_for_nothing(make: Make) -> None:
    """What lies in out/ under its name and is given to nobody is no receipt."""
    site = make()
    site.put("a.json", b'{"id": "1"}')
    before = next(iter(site.connector.pages())).records[0]
    (site.folder / "out" / "key-1.json").mkdir()
    with pytest.raises(Misconfigured, match="out/: Is a directory"):
        site.connector.update(Outgoing(before, {"id": "1", "x": 2}, "key-1"))
