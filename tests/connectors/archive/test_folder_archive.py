"""The folder archive: a bag is whole or not there, the same delivery is one bag, and only the key opens it."""

import errno
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.connectors.archive.bag import is_whole, make_bag
from hub.connectors.archive.encryption import CannotOpen, Encrypt
from hub.connectors.archive.folder import FolderArchive, Receipt, failure_of, open_sealed
from hub.connectors.archive.port import ArchiveRefused, ArchiveUnavailable

_ORGANISATION = "999999999"  # made up: no such organisation is registered
_ID = "5f0c7f6e-3c1b-4f57-9a6d-2a1f0d8f4c33"
_KEY = bytes(range(32))
_FIRST = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
_LATER = datetime(2027, 1, 3, 8, 0, tzinfo=UTC)
_PLAIN_FILES = {
    "bag-info.txt", "bagit.txt", "data/arkivmelding.xml", "data/dokumenter/001.pdf", "manifest-sha256.txt",
    "manifest-sha512.txt", "tagmanifest-sha256.txt", "tagmanifest-sha512.txt",
}  # fmt: skip


@dataclass(frozen=True)
class _File:
    name: str
    content: bytes


@dataclass(frozen=True)
class _Package:
    external_key: str = "relay:avslutning:c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa:1"
    created: datetime = _FIRST
    files: tuple[_File, ...] = (_File("arkivmelding.xml", b"<arkivmelding/>"), _File("001.pdf", b"%PDF Solskinn"))


_PACKAGE = _Package()
_OTHER = replace(_PACKAGE, files=(*_PACKAGE.files[:1], _File("001.pdf", b"%PDF other")))


def _archive(root: Path, *, key: bytes | None = None, at: datetime = _FIRST) -> FolderArchive:
    return FolderArchive(root, _ORGANISATION, encrypt=Encrypt(key) if key else None, clock=lambda: at)


def _year(root: Path) -> Path:
    return root / _ORGANISATION / "2026"


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _only_one_whole_bag(root: Path) -> None:
    """Check that the year's folder holds one whole bag and its receipt, and nothing that was left behind."""
    assert sorted(path.name for path in _year(root).iterdir()) == [_ID, f"{_ID}.kvittering.json"]
    assert is_whole(_year(root) / _ID)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("key", [None, _KEY], ids=["plain", "sealed"])
def test_the_bag_is_valid_to_an_independent_reader(tmp_path: Path, key: bytes | None) -> None:
    """The Library of Congress' own tool finds the bag complete and every checksum right, plain and sealed."""
    import bagit  # here, since it warns while it is imported

    receipt = _archive(tmp_path, key=key).deliver(_PACKAGE, _ID)
    bag = bagit.Bag(str(tmp_path / receipt.bag))
    bag.validate()
    assert bag.version == "1.0"
    assert bag.info["External-Identifier"] == _PACKAGE.external_key
    assert bag.info["Source-Organization"] == _ORGANISATION
    assert bag.info["Bagging-Date"] == "2026-06-02"
    assert set(bag.algorithms) == {"sha256", "sha512"}


def test_a_plain_bag_has_the_files_where_archives_look(tmp_path: Path) -> None:
    """The message and the documents lie under data/, with two manifests, two tag manifests and a receipt beside."""
    receipt = _archive(tmp_path).deliver(_PACKAGE, _ID)
    assert receipt.bag == f"{_ORGANISATION}/2026/{_ID}"
    files = _tree(tmp_path / receipt.bag)
    assert set(files) == _PLAIN_FILES
    assert files["data/dokumenter/001.pdf"] == b"%PDF Solskinn"
    assert b"Payload-Oxum: 28.2\n" in files["bag-info.txt"]
    _only_one_whole_bag(tmp_path)


def test_the_receipt_lies_beside_the_bag(tmp_path: Path) -> None:
    """The stored receipt is the returned one: key, time, hashes of what lies in the bag."""
    receipt = _archive(tmp_path).deliver(_PACKAGE, _ID)
    stored = Receipt.model_validate_json((_year(tmp_path) / f"{_ID}.kvittering.json").read_bytes())
    assert stored == receipt
    assert (stored.external_key, stored.received_at, stored.already_there) == (_PACKAGE.external_key, _FIRST, False)
    assert [(file.path, file.size) for file in stored.files] == [
        ("data/arkivmelding.xml", 15), ("data/dokumenter/001.pdf", 13),
    ]  # fmt: skip


def test_the_same_delivery_is_one_bag_and_one_receipt(tmp_path: Path) -> None:
    """Delivered again half a year later, the first receipt comes back, and no file is touched."""
    first = _archive(tmp_path).deliver(_PACKAGE, _ID)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = _archive(tmp_path, at=_LATER).deliver(_PACKAGE, _ID)
    assert again == first.model_copy(update={"already_there": True})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("with_receipt", [True, False])
def test_other_content_under_the_same_id_is_refused(tmp_path: Path, *, with_receipt: bool) -> None:
    """A delivery id stands for one content; the bag that is there stays, and the error shows no content."""
    _archive(tmp_path).deliver(_PACKAGE, _ID)
    if not with_receipt:
        (_year(tmp_path) / f"{_ID}.kvittering.json").unlink()
    before = _tree(tmp_path)
    with pytest.raises(ArchiveRefused, match=f"{_ID}: a bag with other content") as caught:
        _archive(tmp_path).deliver(_OTHER, _ID)
    assert "PDF" not in str(caught.value)
    assert _tree(tmp_path) == before


def _half_payload(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / f".{_ID}.unfinished-1", dict(list(whole.items())[:1]))


def _cut_file(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / f".{_ID}.unfinished-1", {**whole, "data/dokumenter/001.pdf": b"%P"})


def _not_yet_renamed(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / f".{_ID}.unfinished-1", whole)


def _renamed_without_receipt(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / _ID, whole)


def _renamed_but_lost_on_disk(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / _ID, {**whole, "data/dokumenter/001.pdf": b""})


def _renamed_without_tag_files(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / _ID, {path: content for path, content in whole.items() if path.startswith("data/")})


def _half_receipt(year: Path, whole: dict[str, bytes]) -> None:
    _put(year / _ID, whole)
    (year / f".{_ID}.unfinished-3").write_bytes(b'{"delivery')


def _several_attempts(year: Path, whole: dict[str, bytes]) -> None:
    _half_payload(year, whole)
    _put(year / f".{_ID}.unfinished-2", whole)
    _half_receipt(year, whole)


def _put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("key", [None, _KEY], ids=["plain", "sealed"])
@pytest.mark.parametrize(
    "crashed",
    [
        _half_payload, _cut_file, _not_yet_renamed, _renamed_without_receipt, _renamed_but_lost_on_disk,
        _renamed_without_tag_files, _half_receipt, _several_attempts,
    ],
)  # fmt: skip
def test_whatever_a_crash_left_ends_in_one_whole_bag(
    tmp_path: Path, crashed: Callable[[Path, dict[str, bytes]], None], key: bytes | None
) -> None:
    """From every half state the next delivery makes the same single bag as an undisturbed one, with a receipt."""
    undisturbed, root = tmp_path / "undisturbed", tmp_path / "root"
    undisturbed.mkdir()
    root.mkdir()
    whole = _tree(undisturbed / _archive(undisturbed, key=key).deliver(_PACKAGE, _ID).bag)
    crashed(_year(root), whole)
    _archive(root, key=key).deliver(_PACKAGE, _ID)
    _only_one_whole_bag(root)
    assert _tree(_year(root) / _ID) == whole


def test_a_crash_leaves_other_deliveries_alone(tmp_path: Path) -> None:
    """Cleaning up after one delivery does not touch the unfinished files of another whose id begins alike."""
    neighbour = _year(tmp_path) / f".{_ID}-2.unfinished-1"
    _put(neighbour, {"data/001.pdf": b"%PDF"})
    _archive(tmp_path).deliver(_PACKAGE, _ID)
    assert neighbour.is_dir()


def test_a_write_that_fails_leaves_nothing_in_place(tmp_path: Path) -> None:
    """When the disk takes only part of a file, no bag is there; once it takes all, the next try succeeds."""
    large = replace(_PACKAGE, files=(*_PACKAGE.files[:1], _File("001.pdf", b"%PDF" * 50_000)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(ArchiveUnavailable, match=f"{_ID}.*EFBIG.*tried again"):
            _archive(tmp_path).deliver(large, _ID)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (_year(tmp_path) / _ID).exists()
    _archive(tmp_path).deliver(large, _ID)
    _only_one_whole_bag(tmp_path)


def test_a_folder_that_is_not_there_is_never_made(tmp_path: Path) -> None:
    """A share that is not mounted is waited for, and nothing is written to the local disk in its place."""
    with pytest.raises(ArchiveUnavailable, match=r"ENOENT.*mount it"):
        _archive(tmp_path / "not mounted").deliver(_PACKAGE, _ID)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_for_a_person(tmp_path: Path) -> None:
    """Where the root is a file, no later try can help."""
    (tmp_path / "root").write_bytes(b"")
    with pytest.raises(ArchiveRefused, match=r"ENOTDIR.*move it away"):
        _archive(tmp_path / "root").deliver(_PACKAGE, _ID)


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ENOSPC, ArchiveUnavailable), (errno.EDQUOT, ArchiveUnavailable), (errno.EIO, ArchiveUnavailable),
        (errno.ESTALE, ArchiveUnavailable), (errno.EROFS, ArchiveRefused), (errno.EACCES, ArchiveRefused),
        (errno.EPERM, ArchiveRefused),
    ],
)  # fmt: skip
def test_errors_of_the_disk_say_what_to_do(number: int, failure: type[Exception]) -> None:
    """What passes by itself is tried again, what needs a right or a setting goes to a person; no path is shown."""
    found = failure_of(OSError(number, "text of the system", "/srv/archive/Solskinn"), _ID)
    assert type(found) is failure
    assert _ID in str(found)
    assert errno.errorcode[number] in str(found)
    assert "Solskinn" not in str(found)
    assert "text of the system" not in str(found)


@pytest.mark.parametrize("id_", ["", "../out", "a/b", ".hidden", "a b", "x" * 101, "Solskinn\n", "a.b"])
def test_only_plain_ids_name_a_folder(tmp_path: Path, id_: str) -> None:
    """An id that could leave the folder or hide in it is refused, and not repeated."""
    with pytest.raises(ArchiveRefused, match="delivery id") as caught:
        _archive(tmp_path).deliver(_PACKAGE, id_)
    assert not id_ or id_ not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_only_plain_names_become_files(tmp_path: Path) -> None:
    """A package whose file would land outside the bag is refused before anything is written."""
    with pytest.raises(ArchiveRefused, match="file's name"):
        _archive(tmp_path).deliver(replace(_PACKAGE, files=(_File("../001.pdf", b""),)), _ID)
    assert list(tmp_path.iterdir()) == []


def test_a_receipt_without_its_bag_is_for_a_person(tmp_path: Path) -> None:
    """When the bag was changed or taken away after its receipt, nothing is written over it in silence."""
    _archive(tmp_path).deliver(_PACKAGE, _ID)
    (_year(tmp_path) / _ID / "data" / "dokumenter" / "001.pdf").write_bytes(b"%PDF tampered")
    with pytest.raises(ArchiveRefused, match="missing or changed"):
        _archive(tmp_path).deliver(_PACKAGE, _ID)
    shutil.rmtree(_year(tmp_path) / _ID)
    with pytest.raises(ArchiveRefused, match="Restore the bag"):
        _archive(tmp_path).deliver(_PACKAGE, _ID)


def test_a_receipt_that_cannot_be_read_is_for_a_person(tmp_path: Path) -> None:
    """A broken receipt is not taken for no receipt."""
    _archive(tmp_path).deliver(_PACKAGE, _ID)
    (_year(tmp_path) / f"{_ID}.kvittering.json").write_bytes(b"{}")
    with pytest.raises(ArchiveRefused, match="receipt can't be read"):
        _archive(tmp_path).deliver(_PACKAGE, _ID)


def test_a_sealed_bag_shows_nothing_and_opens_with_the_key(tmp_path: Path) -> None:
    """No payload byte stands in clear; the key gives the content back, also where the bag was moved to."""
    receipt = _archive(tmp_path, key=_KEY).deliver(_PACKAGE, _ID)
    assert receipt.sealed
    assert not any(b"Solskinn" in content or b"<arkivmelding" in content for content in _tree(tmp_path).values())
    moved = (tmp_path / receipt.bag).rename(tmp_path / "moved")
    assert open_sealed(moved / "data" / "dokumenter" / "001.pdf.sealed", Encrypt(_KEY)) == b"%PDF Solskinn"
    assert open_sealed(moved / "data" / "arkivmelding.xml.sealed", Encrypt(_KEY)) == b"<arkivmelding/>"


def test_a_sealed_file_opens_only_in_its_own_place(tmp_path: Path) -> None:
    """Another key, a changed byte, another file's place and a file outside a bag do not open."""
    data = tmp_path / _archive(tmp_path, key=_KEY).deliver(_PACKAGE, _ID).bag / "data"
    document, message = data / "dokumenter" / "001.pdf.sealed", data / "arkivmelding.xml.sealed"
    with pytest.raises(CannotOpen, match="use the key"):
        open_sealed(document, Encrypt(bytes(32)))
    sealed = document.read_bytes()
    document.write_bytes(message.read_bytes())
    with pytest.raises(CannotOpen, match="in its own bag"):
        open_sealed(document, Encrypt(_KEY))
    document.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(CannotOpen):
        open_sealed(document, Encrypt(_KEY))
    (tmp_path / "stray.sealed").write_bytes(sealed)
    with pytest.raises(CannotOpen, match="no bag"):
        open_sealed(tmp_path / "stray.sealed", Encrypt(_KEY))


def test_another_key_is_no_silent_second_bag(tmp_path: Path) -> None:
    """A delivery sealed with one key and tried with another, or plain, is refused."""
    _archive(tmp_path, key=_KEY).deliver(_PACKAGE, _ID)
    for key in (bytes(32), None):
        with pytest.raises(ArchiveRefused, match="another key"):
            _archive(tmp_path, key=key).deliver(_PACKAGE, _ID)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_sealing_is_repeatable_and_never_reuses_a_nonce(one: bytes, other: bytes) -> None:
    """The same file seals to the same bytes; another content or another name gets another nonce."""
    seal = Encrypt(_KEY).seal
    first = seal(one, delivery_id=_ID, name="001.pdf")
    assert first == seal(one, delivery_id=_ID, name="001.pdf")
    assert Encrypt(_KEY).open(first, delivery_id=_ID, name="001.pdf") == one
    nonce = slice(-len(one) - 28, -len(one) - 16)
    second = seal(other, delivery_id=_ID, name="001.pdf")
    assert one == other or first[nonce] != second[-len(other) - 28 : -len(other) - 16]
    assert first[nonce] != seal(one, delivery_id=_ID, name="002.pdf")[nonce]


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    """Only 32 bytes are a key; neither the error nor the object shows one."""
    with pytest.raises(ValueError, match="32 bytes"):
        Encrypt(key)
    assert "\\x01" not in repr(Encrypt(_KEY))


def test_an_organisation_number_has_nine_digits(tmp_path: Path) -> None:
    """Anything else is no folder of a municipality."""
    with pytest.raises(ValueError, match="nine digits"):
        FolderArchive(tmp_path, "../..", encrypt=None, clock=lambda: _FIRST)


@given(st.dictionaries(st.sampled_from(["arkivmelding.xml", "dokumenter/001.pdf", "dokumenter/002.pdf"]), st.binary()))
def test_a_bag_lists_its_payload_once_in_each_manifest(payload: dict[str, bytes]) -> None:
    """Each manifest has a line for each payload file, and the tag manifests one for each tag file."""
    files = make_bag(payload, {})
    for algorithm in ("sha256", "sha512"):
        lines = files[f"manifest-{algorithm}.txt"].decode().splitlines()
        assert sorted(line.split("  ")[1] for line in lines) == sorted(f"data/{name}" for name in payload)
        assert len(files[f"tagmanifest-{algorithm}.txt"].splitlines()) == 4


def test_a_file_that_no_manifest_lists_breaks_a_bag(tmp_path: Path) -> None:
    """An added file, a removed manifest and a folder without manifests are no whole bag."""
    bag = tmp_path / _archive(tmp_path).deliver(_PACKAGE, _ID).bag
    (bag / "data" / "added.txt").write_bytes(b"")
    assert not is_whole(bag)
    (bag / "data" / "added.txt").unlink()
    assert is_whole(bag)
    (bag / "manifest-sha512.txt").write_bytes(b"\xff\xfe nonsense")
    assert not is_whole(bag)
    (tmp_path / "empty").mkdir()
    assert not is_whole(tmp_path / "empty")
