"""The services that exchange files: the templates read what they drop, and what they are sent they take in and drop."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from hub.mappings import load_shipped
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
from hub.relaylog.model import RelayLog
from hub.sandbox.case import Json, number_rows
from hub.sandbox.fileservices import REJECTED, FileServices, open_folders
from hub.sandbox.filesystems import FILE_SYSTEMS
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.proof import PROOF_FILE, check_proof
from hub.sandbox.world import World, make_world

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = bytes(32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-one children, each story once, as a file."""
    path = tmp_path_factory.mktemp("made") / "world.json"
    make_world(31, 3, today=TODAY).save(path)
    return path


@pytest.fixture
def world(tmp_path: Path, made: Path) -> World:
    """The same children for each test, kept on disk."""
    world = World.load(made)
    world.keep_at = tmp_path / "world.json"
    world.keep()
    return world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folders of all systems."""
    open_folders(tmp_path / "mapper", KEY)
    return tmp_path / "mapper"


@pytest.fixture
def services(world: World, root: Path) -> FileServices:
    """All services, before they have done anything."""
    return FileServices(world, root, lambda: NOW)


def _logs(system: str, data: bytes) -> Iterator[RelayLog]:
    """Read bytes by the shipped template, which the simulator has never seen."""
    mapping = load_shipped(f"{system}/stafettlogg")
    reader = payload(mapping.payload, mapping.payload_options)
    trees = [tree for _, tree in reader.decode_set(data)] if isinstance(reader, CsvPayload) else [reader.decode(data)]
    for tree in trees:
        assert mapping.claims(tree)
        yield mapping.read(tree)


def _held(world: World, system: str) -> dict[str, bytes]:
    """Return the whole records of a system by id."""
    records = (record for record in world.files.values() if record["system"] == system and record["record"])
    return {record["record"]: b64decode(record["data"]) for record in records}


def _send(root: Path, system: str, data: bytes, key: str = "key-1") -> Path:
    """Put a file in out/ as the hub would."""
    path = root / system / "out" / f"{key}{FILE_SYSTEMS[system].suffix}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("system", FILE_SYSTEMS)
def test_the_template_reads_what_a_service_holds(world: World, system: str) -> None:
    """Every record is read as the child's it was told of, with its texts, and nothing in it is of an unknown code."""
    told = {key: tale.national_id for tale in world.tales for key in tale.files}
    held = _held(world, system)
    assert held
    for record_id, data in held.items():
        (log,) = _logs(system, data)
        assert (log.source.id, log.subject.national_id) == (record_id, told[f"{system}/{record_id}"])
        assert log.concerns
        assert log.goals
        assert all(measure.text and "[" not in measure.text for measure in log.measures)
        assert {evaluation.measure for evaluation in log.evaluations} <= {measure.id for measure in log.measures}
        assert not log.extensions


def test_the_first_round_drops_every_record_once(services: FileServices, world: World, root: Path) -> None:
    """One file a record, but one for all of HK Oppvekst; whole, left alone for minutes, and not again."""
    services.act()
    for system in FILE_SYSTEMS:
        files = list((root / system / "in").iterdir())
        assert {path.suffix for path in files} == {FILE_SYSTEMS[system].suffix}
        records = [record for record in world.files.values() if record["system"] == system]
        assert len(files) == (1 if system == "hkoppvekst" else len(records))
        assert {path.stat().st_mtime for path in files} == {(NOW - timedelta(minutes=5)).timestamp()}
    (bundle,) = (root / "hkoppvekst" / "in").iterdir()
    assert {log.source.id for log in _logs("hkoppvekst", bundle.read_bytes())} == _held(world, "hkoppvekst").keys()
    before = sorted(root.rglob("*"))
    services.act()
    assert sorted(root.rglob("*")) == before
    assert World.load(world.keep_at or Path()) == world


def test_a_folder_proves_that_a_sandbox_made_it(root: Path) -> None:
    """The proof is for the folder's own path: copied to another it proves nothing."""
    token = (root / "profil" / PROOF_FILE).read_text()
    assert check_proof(KEY, str(root / "profil"), token)
    assert not check_proof(KEY, str(root / "infodoc"), token)


@pytest.mark.parametrize("system", FILE_SYSTEMS)
def test_what_is_sent_is_taken_in_and_dropped_again(
    services: FileServices, world: World, root: Path, system: str
) -> None:
    """The file is gone, the write is noted with its key, and the record's echo reads as what was sent."""
    services.act()
    record_id, data = next(iter(_held(world, system).items()))
    for path in (root / system / "in").iterdir():
        path.unlink()
    _send(root, system, data)
    services.act()
    (received,) = world.received
    assert (received.system, received.record_id, received.idempotency_key) == (system, record_id, "key-1")
    assert not list((root / system / "out").iterdir())
    (echo,) = (root / system / "in").iterdir()
    own = {"source", "changed_at"}
    (sent,), (dropped,) = _logs(system, data), _logs(system, echo.read_bytes())
    assert dropped.model_dump(exclude=own) == sent.model_dump(exclude=own)
    assert World.load(world.keep_at or Path()) == world


def test_a_save_is_stamped_and_numbers_new_rows(services: FileServices, world: World, root: Path) -> None:
    """A row that came without an id gets one of its own, and the log its next number of changes."""
    services.act()
    record_id, data = next(iter(_held(world, "barnevern").items()))
    tree = json.loads(data)
    tree["tiltak"].append({"beskrivelse": "Leseleiker kvar fredag.", "kilde": "SKO"})
    _send(root, "barnevern", json.dumps(tree).encode())
    services.act()
    saved = json.loads(_held(world, "barnevern")[record_id])
    assert [measure["tiltakId"] for measure in saved["tiltak"]] == ["T1", "T2", "T3"]
    assert saved["endringsnummer"] == tree["endringsnummer"] + 1
    assert saved["sistEndret"] == "2026-11-21T10:00:00+01:00"
    assert "tiltakId" not in world.received[0].body["tiltak"][2]


def test_a_file_is_taken_in_once(services: FileServices, world: World, root: Path) -> None:
    """One that a stop left in out/ after it was taken in is put away the next time, and counts once."""
    data = next(iter(_held(world, "profil").values()))
    for _ in range(2):
        _send(root, "profil", data)
        services.act()
    assert len(world.received) == 1
    assert not list((root / "profil" / "out").iterdir())


@pytest.mark.parametrize("system", FILE_SYSTEMS)
def test_what_cannot_be_read_is_left_aside(services: FileServices, world: World, root: Path, system: str) -> None:
    """What cannot be read changes nothing, and is kept for a person to look at."""
    _send(root, system, b"not it")
    services.act()
    assert world.received == []
    assert [path.stem for path in (root / system / "out" / REJECTED).iterdir()] == ["key-1"]


def test_a_record_that_the_service_does_not_know_is_left_aside(
    services: FileServices, world: World, root: Path
) -> None:
    """An id that is not its own may be a child of another municipality."""
    tree = json.loads(next(iter(_held(world, "barnevern").values())))
    _send(root, "barnevern", json.dumps({**tree, "loggId": "BVP-9999"}).encode())
    services.act()
    assert world.received == []
    assert len(list((root / "barnevern" / "out" / REJECTED).iterdir())) == 1


def test_a_file_that_is_not_whole_waits(services: FileServices, world: World, root: Path) -> None:
    """What the hub is still writing begins with a dot."""
    draft = root / "profil" / "out" / ".key-1.xml.part"
    draft.write_bytes(next(iter(_held(world, "profil").values()))[:100])
    services.act()
    assert draft.exists()
    assert world.received == []


def test_edits_change_as_many_records_as_asked(services: FileServices, world: World, root: Path) -> None:
    """Users of Profil and Barnevern change one record each, which is dropped alone and still reads."""
    services.act()
    for system in FILE_SYSTEMS:
        for path in (root / system / "in").iterdir():
            path.unlink()
    before = {system: _held(world, system) for system in FILE_SYSTEMS}
    assert services.edit(1, seed=4) == 2
    services.act()
    for system in FILE_SYSTEMS:
        changed = {key for key, data in _held(world, system).items() if data != before[system][key]}
        assert len(changed) == (1 if system in ("profil", "barnevern") else 0)
        dropped = [
            log.source.id for path in (root / system / "in").iterdir() for log in _logs(system, path.read_bytes())
        ]
        assert set(dropped) == changed


def test_services_at_work_stop_when_told(services: FileServices, root: Path) -> None:
    """They act at once and then every moment in a thread of their own, which is gone after the block."""
    with services.at_work(every=0.01):
        deadline = monotonic() + 10
        while not list((root / "papirskjema" / "in").iterdir()) and monotonic() < deadline:
            sleep(0.01)
    assert list((root / "papirskjema" / "in").iterdir())
    assert "file services" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ([{"k": "T1"}, {}, {"k": None}], ["T1", "T2", "T3"]),
        ([{}, {"k": "T1"}, {"k": "T7"}], ["T2", "T1", "T7"]),
        ([], []),
    ],
)
def test_a_new_number_is_nobody_elses(rows: list[Json], keys: list[str]) -> None:
    """Rows with a key keep it, and no number is given twice."""
    number_rows(rows, "k", "T")
    assert [row["k"] for row in rows] == keys


def test_the_unit_of_a_message_is_the_municipalitys(world: World) -> None:
    """The organisation numbers in what is exchanged are the made-up municipality's own."""
    for data in _held(world, "infodoc").values():
        assert MUNICIPALITY_ORGNR.encode() in data
