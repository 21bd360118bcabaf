"""A watched folder: for a system that can only export and import files. Honest, and good enough to stay.

    in/       the system, or a person, puts files here; a file is taken only when it is whole
    done/     files that were taken in
    failed/   files that were not, each with its reason beside it in `<name>.reason.txt`
    out/      the hub puts changed records here, each whole or not there

What a file says is stored before the file is moved. A file that a crash left in `in/` is read again and found
unchanged. One that the operating system does not give is told of, stays in `in/`, and stops no other. A folder holds
changes, never a whole listing: what is not there is not gone.

A set of CSV files may bring many records. Each goes back in a set of its own, in the manner of the set that it came in,
since a delivery is one record, and nobody's rows lie in another's file.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG

from pydantic import BaseModel, ConfigDict

from hub.connectors.base import (
    OPEN,
    Accepted,
    ConnectorError,
    Gate,
    Misconfigured,
    Outgoing,
    Page,
    Refused,
    Repeat,
    Setting,
    SourceRecord,
    Spec,
    Tree,
    Unavailable,
    Unreadable,
)
from hub.connectors.http import Clock
from hub.payloads.base import Payload, PayloadError
from hub.payloads.csv import CsvPayload

SPEC = Spec(
    system="folder",
    title="Mappe (filutveksling)",
    summary="For fagsystemer som bare kan eksportere og importere filer: inn, ut, ferdig og feilet.",
    capabilities=frozenset({"pull", "push", "document"}),
    promise="A change is one file, named by its delivery, whole in `out/` or not there, read back before it counts. "
    "It is on its way until a file of the system's own shows it: one from before takes nothing back.",
    profile={
        "exchange": Setting("files in in/ and out/", "assumed", "no vendor publishes a file exchange of relay logs")
    },
)

BOXES = ("in", "out", "done", "failed")
UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
MAX_BYTES = 64 * 1024 * 1024
LONGEST_NAME = 230
"""How many bytes the name of a file may take: beside it in failed/ its reason has a name that is longer."""


class Settings(BaseModel):
    """What a municipality configures of a folder.

    A file is whole when a file `<name><marker>` lies beside it, or, without a marker, when it has not changed for
    `quiet_seconds`. `suffix` is the ending of what the hub writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    folder: Path
    suffix: str
    marker: str = ""
    quiet_seconds: int = 10


NOT_GIVEN = "no_access"
CHECK_FILE = "let the hub's user read it, or deliver it anew under a short name"
CHECK_RIGHTS = "Give the hub's user the right to read and write there"
CHECK_SPACE = "Make room on its disk; the hub tries again by itself"
CHECK_SHARE = "See that its disk or share is there; the hub tries again by itself"
NO_RIGHT = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EXDEV}
)
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def _working_in(where: str) -> Iterator[None]:
    """Turn what the operating system refuses there into what the caller does about it. A file's name is not told."""
    try:
        yield
    except OSError as error:
        raise _refusal(error, f"{where}: {_reason(error)}") from None


@dataclass(frozen=True)
class Template:
    """What a folder must know of its template: the payload, and how a tree names its record."""

    payload: Payload
    identify: Callable[[Tree], str]

    def records(self, data: bytes) -> Iterator[SourceRecord]:
        """Yield the records that a file holds: of a set of CSV files each on its own. Raises PayloadError."""
        if isinstance(self.payload, CsvPayload):
            for own in self.payload.split(data):
                [(key, tree)] = self.payload.decode_set(own)
                yield SourceRecord(key, _version(json.dumps(tree).encode()), tree, original=own)
        else:
            tree = self.payload.decode(data)
            yield SourceRecord(self.identify(tree), _version(data), tree, original=data)


class Folder:
    """One folder of one system. A listing is never whole: `lists_all` is False."""

    lists_all = False
    answers = False
    repeat: Repeat = "key"

    def __init__(self, settings: Settings, template: Template, clock: Clock, gate: Gate = OPEN) -> None:
        self._settings = settings
        self._template = template
        self._clock = clock
        self._gate = gate

    def check(self) -> None:
        """See that all four boxes are there and may be written. Makes what is missing within an existing folder."""
        with _working_in("the folder"):
            there = self._settings.folder.is_dir()
        if not there:
            raise Misconfigured("no_folder", "the folder is not there", "Make it, or mount it, and check its path")
        for box in BOXES:
            with _working_in(f"{box}/"):
                self._box(box).mkdir(exist_ok=True)
            if not os.access(self._box(box), os.R_OK | os.W_OK | os.X_OK):
                raise Misconfigured("no_access", f"{box}/ may not be read and written", CHECK_RIGHTS)

    def pages(self, after: str = "") -> Iterator[Page]:  # noqa: ARG002 - what was taken in lies elsewhere
        """Yield the records of each whole file, the oldest first, a page a file."""
        self._gate.enter()
        self.check()
        for path in self._whole_files():
            self._gate.enter()
            page = self._page(path)
            if page is not None:
                yield page

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Move a page's file where it belongs, once what it said is stored.

        `refused` gives the reason, place and rule without values, of each record that was not taken in. A file that
        could not be read stays where it is.
        """
        if not page.token:
            return
        path = self._box("in") / page.token
        reasons = [*(f"{each.code}: {each.place or '/'}. {each.remedy}" for each in page.unreadable), *refused.values()]
        self._move(path, "failed" if reasons else "done", reasons)

    def fetch(self, record_id: str) -> SourceRecord:
        """Refuse: a folder cannot be asked for one record."""
        raise Refused("cannot_look_up", f"a folder cannot be asked for record {record_id}", "Wait for its next file")

    @_working_in("out/")
    def update(self, outgoing: Outgoing) -> Accepted:
        """Write the changed record as one file, read it back, and answer with what it says.

        A file that lies there already was written by an earlier attempt, whole: it is what the delivery said.
        """
        self._gate.enter()
        self.check()
        path = self._box("out") / f"{outgoing.key}{self._settings.suffix}"
        if not path.exists():
            _write_whole(path, self._encoded(outgoing))
        return Accepted(self._read_back(outgoing.before.id, path.read_bytes()), f"out/{path.name}")

    def _read_back(self, record_id: str, data: bytes) -> SourceRecord:
        """Read the record in a file of out/. Raises Refused where it cannot be read, or is of something else."""
        with suppress(PayloadError):
            for record in self._template.records(data):
                if record.id == record_id:
                    return record
        raise Refused("other_content", "another file of this delivery lies in out/", "Move it away after a look at it")

    def _encoded(self, outgoing: Outgoing) -> bytes:
        payload = self._template.payload
        try:
            if isinstance(payload, CsvPayload):
                return payload.encode_set([(outgoing.before.id, outgoing.after)], outgoing.before.original)
            return payload.encode(outgoing.after, outgoing.before.original)
        except PayloadError as error:
            raise Refused(
                f"payload_{error.code}", f"the record cannot be written at {error.place}", error.remedy
            ) from None

    def _page(self, path: Path) -> Page | None:
        """Read one file; None where it has gone meanwhile."""
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            return Page((), unreadable=(_not_given(path.name, 0, os.strerror(errno.ENAMETOOLONG)),))
        changed_at = 0
        try:
            state = path.stat()
            changed_at = state.st_mtime_ns
            if state.st_size > MAX_BYTES:
                return Page((), unreadable=(_too_large(path.name, state.st_size),), token=path.name)
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._names()  # where the folder itself can be read no more, it is not the file
            return Page((), unreadable=(_not_given(path.name, changed_at, _reason(error)),))
        try:
            return Page(tuple(self._template.records(data)), token=path.name)
        except PayloadError as error:
            found = Unreadable(sha256(data).hexdigest()[:32], data, error.code, error.place, error.remedy)
            return Page((), unreadable=(found,), token=path.name)

    def _names(self) -> set[str]:
        with _working_in("in/"):
            return {path.name for path in self._box("in").iterdir()}

    def _whole_files(self) -> list[Path]:
        """Return the files that nobody writes to any more, the oldest first; before them those that say nothing."""
        marker, now, names = self._settings.marker, self._clock.now(), self._names()
        found = []
        for name in names:
            path = self._box("in") / name
            if name.startswith(".") or path.suffix in UNFINISHED:
                continue
            if marker and (name.endswith(marker) or name + marker not in names):
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            except OSError:
                found.append((0, name, path))
                continue
            quiet = now.timestamp() - state.st_mtime
            whole = marker or quiet >= timedelta(seconds=self._settings.quiet_seconds).total_seconds()
            if S_ISREG(state.st_mode) and whole:
                found.append((state.st_mtime_ns, name, path))
        return [path for _, _, path in sorted(found)]

    def _move(self, path: Path, box: str, reasons: list[str]) -> None:
        """Move a file, under a name that no earlier one has; its reasons first, so that none is without."""
        number, target = 0, self._box(box) / path.name
        with _working_in(f"{box}/"):
            while target.exists():
                number += 1
                target = self._box(box) / f"{path.stem}.{number}{path.suffix}"
            if reasons:
                text = "".join(f"{reason}\n" for reason in reasons)
                _write_whole(target.with_name(f"{target.name}.reason.txt"), text.encode())
            with suppress(FileNotFoundError):  # somebody has taken it away: what it said is stored
                path.replace(target)
            if self._settings.marker:
                path.with_name(path.name + self._settings.marker).unlink(missing_ok=True)
            _sync_folder(target.parent)
            _sync_folder(path.parent)

    def _box(self, name: str) -> Path:
        return self._settings.folder / name


def _too_large(name: str, size: int) -> Unreadable:
    """Tell of a file that is not even read: without its bytes, known by its name and size."""
    known = sha256(os.fsencode(name) + b"/%d" % size).hexdigest()[:32]
    return Unreadable(known, b"", "size", "", f"Split it into files of at most {MAX_BYTES} bytes")


def _not_given(name: str, changed_at: int, reason: str) -> Unreadable:
    """Tell of a file that the operating system does not give: its name, which may be a person's, stands in in/."""
    known = sha256(os.fsencode(name) + b"/%d" % changed_at).hexdigest()[:32]
    return Unreadable(known, b"", NOT_GIVEN, "", f"A file that stays in in/ ({reason}): {CHECK_FILE}")


def _version(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _refusal(error: OSError, what: str) -> ConnectorError:
    if error.errno in NO_RIGHT:
        return Misconfigured("no_access", what, CHECK_RIGHTS)
    if error.errno in NO_SPACE:
        return Unavailable("disk_full", what, CHECK_SPACE)
    return Unavailable("folder_unavailable", what, CHECK_SHARE)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _write_whole(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.part")
    with _working_in(f"{path.parent.name}/"):
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
