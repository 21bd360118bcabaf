"""The folder archive: each closed log as a BagIt bag on disk, sealed to the municipality's key, with its receipt.

Summary: works without any archive system, and the same message can be sent to a Fiks archive later.
Promise: a bag is whole or not there. Whatever a crash left behind is put right by the next delivery with the same id,
and a delivery that is already there is answered with its first receipt. The folder itself must exist: a share that is
not mounted must not be replaced by the local disk.

    <root>/<organisation number>/<year>/<delivery id>/                   the bag
    <root>/<organisation number>/<year>/<delivery id>.kvittering.json    its receipt
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from hub.connectors.archive.bag import is_whole, make_bag, read_info
from hub.connectors.archive.encryption import SUFFIX, CannotOpen, Encrypt
from hub.connectors.archive.port import ArchivePackage, ArchiveRefused, ArchiveUnavailable

_MESSAGE = "arkivmelding.xml"
_DELIVERY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ORGANISATION = re.compile(r"\d{9}")
_UNFINISHED = "unfinished-"
_FOR_A_PERSON = {
    errno.EACCES: "Give the hub's user the right to write there",
    errno.EPERM: "Give the hub's user the right to write there",
    errno.EROFS: "Make the archive folder writable",
    errno.ENOTDIR: "A file stands where a folder should be: move it away",
    errno.ELOOP: "The archive folder's path has a loop of links: mend it",
    errno.ENAMETOOLONG: "Choose an archive folder with a shorter path",
}
_FOR_LATER = {
    errno.ENOSPC: "The disk is full: free space",
    errno.EDQUOT: "The quota is used up: raise it",
    errno.EFBIG: "The file is larger than may be written: raise the limit",
    errno.ENOENT: "The archive folder is not there: mount it, or make it",
}


class StoredFile(BaseModel):
    """A payload file as it lies in the bag: its path there, its size in bytes and its SHA-256 in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: str
    size: int
    sha256: str


class Receipt(BaseModel):
    """Proof that a delivery lies whole in the folder. `manifest_sha256` covers the bag's own list of checksums."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    delivery_id: str
    external_key: str
    bag: str
    received_at: AwareDatetime
    sealed: bool
    manifest_sha256: str
    files: tuple[StoredFile, ...]
    already_there: bool = False


class FolderArchive:
    """Writes packages to one municipality's part of an archive folder."""

    def __init__(
        self, root: Path, organisation_number: str, *, encrypt: Encrypt | None, clock: Callable[[], datetime]
    ) -> None:
        """Take an existing folder; `encrypt` None leaves the files plain. `clock` gives the receipt's time."""
        if not _ORGANISATION.fullmatch(organisation_number):
            raise ValueError("organisation_number: nine digits")
        self._root = root
        self._organisation_number = organisation_number
        self._encrypt = encrypt
        self._clock = clock

    def deliver(self, package: ArchivePackage, delivery_id: str) -> Receipt:
        """Put a package into the folder and return its receipt; the same delivery again returns the first one.

        Raises ArchiveUnavailable when trying later can help, and ArchiveRefused when a person must look.
        """
        _check_names(package, delivery_id)
        files = self._bag(package, delivery_id)
        with _told(delivery_id):
            bag = self._home(package) / delivery_id
            if receipt := _read_receipt(bag):
                return _acknowledged(bag, files, receipt)
            already_there = _settled(bag, files, delivery_id)
            if not already_there:
                _write_bag(bag, files)
            receipt = self._receipt(package, bag, files)
            _write_file(_receipt_path(bag), receipt.model_dump_json(indent=2, exclude={"already_there"}).encode())
            return receipt.model_copy(update={"already_there": already_there})

    def holds(self, delivery_id: str, proof: str) -> bool:
        """Tell whether a delivery still lies in the folder as its proof says, byte for byte."""
        for bag in (self._root / self._organisation_number).glob(f"*/{delivery_id}"):
            with _told(delivery_id):
                receipt = _read_receipt(bag)
                if receipt and receipt.manifest_sha256 == proof and _as_received(bag, receipt):
                    return True
        return False

    def _bag(self, package: ArchivePackage, delivery_id: str) -> dict[str, bytes]:
        payload = {}
        for file in package.files:
            path = file.name if file.name == _MESSAGE else f"dokumenter/{file.name}"
            if self._encrypt:
                payload[path + SUFFIX] = self._encrypt.seal(file.content, delivery_id=delivery_id, name=path)
            else:
                payload[path] = file.content
        info = {
            "Source-Organization": self._organisation_number,
            "External-Identifier": package.external_key,
            "Internal-Sender-Identifier": delivery_id,
            "Bagging-Date": package.created.astimezone(UTC).date().isoformat(),
        }
        return make_bag(payload, info)

    def _home(self, package: ArchivePackage) -> Path:
        """Make the year's folder below the root, which must be there, and make its entry last."""
        organisation = self._root / self._organisation_number
        year = organisation / str(package.created.astimezone(UTC).year)
        for folder in (organisation, year):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                _sync(folder.parent)
        return year

    def _receipt(self, package: ArchivePackage, bag: Path, files: dict[str, bytes]) -> Receipt:
        return Receipt(
            delivery_id=bag.name,
            external_key=package.external_key,
            bag=bag.relative_to(self._root).as_posix(),
            received_at=self._clock(),
            sealed=self._encrypt is not None,
            manifest_sha256=_manifest_sum(files),
            files=tuple(
                StoredFile(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
                for path, content in files.items()
                if path.startswith("data/")
            ),
        )


def open_sealed(path: Path, encrypt: Encrypt) -> bytes:
    """Return the content of a sealed file that lies in a bag. Raises CannotOpen and OSError."""
    bag = next((parent for parent in path.parents if (parent / "bagit.txt").is_file()), None)
    if bag is None:
        raise CannotOpen("the file lies in no bag; put it back where it was sealed")
    name = path.relative_to(bag / "data").as_posix().removesuffix(SUFFIX)
    return encrypt.open(path.read_bytes(), delivery_id=read_info(bag)["Internal-Sender-Identifier"], name=name)


def _check_names(package: ArchivePackage, delivery_id: str) -> None:
    if not _DELIVERY_ID.fullmatch(delivery_id):
        raise ArchiveRefused("delivery_id", "The delivery id can't name a folder", "Use the hub's own id.")
    if not all(_FILE_NAME.fullmatch(file.name) for file in package.files):
        what = f"Delivery {delivery_id}: a file's name can't stand in a folder"
        raise ArchiveRefused("file_name", what, "Make the package again.")


@contextmanager
def _told(delivery_id: str) -> Iterator[None]:
    """Turn what the file system says into what to do about it."""
    try:
        yield
    except OSError as error:
        failure = failure_of(error, delivery_id)
    else:
        return
    raise failure


def failure_of(error: OSError, delivery_id: str) -> ArchiveUnavailable | ArchiveRefused:
    """Return the failure that an error of the file system means: what passes by itself is tried again."""
    number = error.errno or 0
    code = errno.errorcode.get(number, "unknown error")
    what = f"Delivery {delivery_id}: the archive folder can't be written ({code})"
    if number in _FOR_A_PERSON:
        return ArchiveRefused(code.lower(), what, f"{_FOR_A_PERSON[number]}, then deliver again.")
    remedy = _FOR_LATER.get(number, "Look at the disk or the share")
    return ArchiveUnavailable(code.lower(), what, f"{remedy}; the delivery is tried again.")


def _acknowledged(bag: Path, files: dict[str, bytes], receipt: Receipt) -> Receipt:
    """Answer a delivery that has its receipt, when what it acknowledges is still there."""
    if receipt.manifest_sha256 != _manifest_sum(files):
        raise _other_content(bag.name)
    if not _holds(bag, files):
        raise ArchiveRefused(
            "bag_missing_or_changed",
            f"Delivery {bag.name}: there is a receipt, but its bag is missing or changed",
            "Restore the bag from the backup, or remove the receipt to deliver anew.",
        )
    return receipt.model_copy(update={"already_there": True})


def _settled(bag: Path, files: dict[str, bytes], delivery_id: str) -> bool:
    """Say whether the bag is there already; remove what an interrupted delivery left behind."""
    for leftover in bag.parent.glob(f".{delivery_id}.{_UNFINISHED}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    if not bag.exists():
        return False
    if _holds(bag, files):
        return True
    if is_whole(bag):
        raise _other_content(delivery_id)
    shutil.rmtree(bag)  # without a receipt nobody was told that it is there
    return False


def _write_bag(bag: Path, files: dict[str, bytes]) -> None:
    """Write the bag beside its place, make every byte last, move it there at once, and read it back."""
    unfinished = _unfinished(bag)
    unfinished.mkdir()
    for path, content in files.items():
        target = unfinished / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_lasting(target, content)
    for folder in sorted(path for path in unfinished.rglob("*") if path.is_dir()):
        _sync(folder)
    _sync(unfinished)
    unfinished.rename(bag)
    _sync(bag.parent)
    if not is_whole(bag):
        raise ArchiveUnavailable(
            "reads_back_changed",
            f"Delivery {bag.name}: the bag reads back other than it was written",
            "Check the disk; the delivery is tried again.",
        )


def _write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the whole new one, and lasts."""
    unfinished = _unfinished(path)
    _write_lasting(unfinished, content)
    unfinished.replace(path)
    _sync(path.parent)


def _unfinished(path: Path) -> Path:
    """Return a name beside a bag or receipt that no other attempt uses and the next one finds."""
    return path.with_name(f".{path.name.partition('.')[0]}.{_UNFINISHED}{uuid4().hex}")


def _write_lasting(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holds(bag: Path, files: dict[str, bytes]) -> bool:
    """Say whether a folder holds just these files with just these bytes."""
    present = {path.relative_to(bag).as_posix() for path in bag.rglob("*") if path.is_file()}
    return present == set(files) and all((bag / path).read_bytes() == content for path, content in files.items())


def _as_received(bag: Path, receipt: Receipt) -> bool:
    """Say whether every file of a receipt lies in its bag with the bytes that were received."""
    paths = [(bag / file.path, file) for file in receipt.files]
    return all(path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 for path, file in paths)


def _read_receipt(bag: Path) -> Receipt | None:
    path = _receipt_path(bag)
    if not path.exists():
        return None
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except ValidationError:
        pass
    what = f"Delivery {bag.name}: its receipt can't be read"
    raise ArchiveRefused("receipt_unreadable", what, "Remove the receipt and deliver again to make a new one.")


def _receipt_path(bag: Path) -> Path:
    return bag.with_name(f"{bag.name}.kvittering.json")


def _manifest_sum(files: dict[str, bytes]) -> str:
    return hashlib.sha256(files["tagmanifest-sha512.txt"]).hexdigest()


def _other_content(delivery_id: str) -> ArchiveRefused:
    return ArchiveRefused(
        "other_content",
        f"Delivery {delivery_id}: a bag with other content, or sealed with another key, is there already",
        "Deliver the change under an id of its own, or look at which of the two is right.",
    )
