"""Sealing: nothing that tells about a child reaches the database, a file or an error in clear.

Each log has a data key of its own; so has each row that belongs to no log yet. Data keys are wrapped by the tenant's
key, which lies in a file outside the database, so that deleting a data key shreds all that was sealed under it,
backups of the database included once the backup's own copy of the key is gone. AES-256-GCM throughout, with the
tenant, the owner of the key and the field bound in, so that a blob moved to another row or column does not open.
Nothing is compressed before sealing: lengths are visible, and compression would let them tell about the content.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, bindparam, delete, insert, select

from hub.store.tables import log_keys

_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"  # AES-256-GCM, nonce first; another first byte would mean another way of sealing


class SealError(Exception):
    """Something sealed cannot be opened. The message names tenant, owner and field, never content."""


class Shredded(SealError):
    """There is no data key: it was shredded, or never made. What was sealed under it is gone for good."""


class SealBroken(SealError):
    """The blob or the key is not what was stored: damage, tampering, or the wrong tenant's key."""


class KeyFileError(Exception):
    """A tenant's key file is missing, open to others, or not readable. Says what to do."""


class Purpose(StrEnum):
    """What a keyed hash is for. Hashes of one value for two purposes do not resemble one another."""

    SUBJECT = "subject"
    CHANGE = "change"
    VIEW = "view"
    CONTENT = "content"


@dataclass(frozen=True)
class Sealer:
    """Seals and opens under one data key. `owner` is what the key belongs to: `log:<id>`, `quarantine:<id>`."""

    tenant: str
    owner: str
    _key: AESGCM = field(repr=False)

    def seal(self, field: str, data: bytes) -> bytes:
        """Seal bytes for one field.

        `field` names table and column, and the row where the owner has several: `records.sealed_record/<connection>`.
        The same text opens it.
        """
        return _seal(self._key, data, _bound(self.tenant, self.owner, field))

    def open(self, field: str, blob: bytes) -> bytes:
        """Return what was sealed for the field. Raises SealBroken."""
        opened = _open(self._key, blob, _bound(self.tenant, self.owner, field))
        if opened is None:
            raise SealBroken(
                f"tenant {self.tenant}, {self.owner}, field {field}: does not open; restore the row from a backup"
            )
        return opened


@dataclass(frozen=True)
class NewKey:
    """A data key just made: what seals with it, and what to store so that it can be had again."""

    sealer: Sealer
    wrapped_key: bytes = field(repr=False)
    key_version: int


@dataclass(frozen=True)
class KeyMaterial:
    """A tenant's keys as they are kept: the version that wraps new data keys, each version's key, the hashing key."""

    current: int
    keys: Mapping[int, bytes] = field(repr=False)
    hashing: bytes = field(repr=False)


class KeySource(Protocol):
    """Where a tenant's keys come from: a file, the environment, or a service that hands them out."""

    def stamp(self) -> Hashable:
        """Return what is another after the keys have changed; None where that cannot be told now."""

    def read(self) -> KeyMaterial:
        """Return the keys. Raises KeyFileError."""


class TenantKeys:
    """The keys of one tenant: wraps data keys and makes keyed hashes. Never shown, never logged.

    With a `source`, keys that are rotated while a process runs reach it at the next data key that it makes or opens.
    """

    def __init__(
        self, tenant: str, current: int, keys: Mapping[int, bytes], hashing: bytes, source: KeySource | None = None
    ) -> None:
        self.tenant = tenant
        self._source = source
        self._stamp = source.stamp() if source else None
        self._take(current, keys)
        self._hashing = {purpose: _derived(hashing, f"hash/{purpose}") for purpose in Purpose}
        self._archive = _derived(hashing, "archive")

    def _take(self, current: int, keys: Mapping[int, bytes]) -> None:
        self._current, self._wrapping = current, {version: AESGCM(key) for version, key in keys.items()}

    def refresh(self) -> None:
        """Read the keys anew where they have changed. Keys that cannot be reached now stay as they are."""
        stamp = self._source.stamp() if self._source else None
        if self._source is not None and stamp is not None and stamp != self._stamp:
            try:
                material = self._source.read()
            except KeyFileError:
                return
            self._take(material.current, material.keys)
            self._stamp = stamp

    @property
    def current(self) -> int:
        """The version that wraps new data keys."""
        return self._current

    @property
    def versions(self) -> frozenset[int]:
        """The versions that open data keys."""
        return frozenset(self._wrapping)

    def new_key(self, owner: str) -> NewKey:
        """Make a data key for an owner such as `log:<id>` or `quarantine:<id>`."""
        self.refresh()
        key, version = os.urandom(_KEY_BYTES), self._current
        wrapped = _seal(self._wrapping[version], key, _bound(self.tenant, owner, "wrapped_key"))
        return NewKey(Sealer(self.tenant, owner, AESGCM(key)), wrapped, version)

    def rewrapped(self, owner: str, wrapped_key: bytes, key_version: int) -> tuple[bytes, int]:
        """Return a stored data key wrapped by the current version, and that version. Raises as `sealer` does."""
        bound, version = _bound(self.tenant, owner, "wrapped_key"), self._current
        return _seal(self._wrapping[version], self._unwrapped(owner, wrapped_key, key_version), bound), version

    def sealer(self, owner: str, wrapped_key: bytes | None, key_version: int | None) -> Sealer:
        """Return the sealer of a stored data key.

        Raises Shredded where there is none, SealBroken where it is not this owner's, and KeyFileError where the
        key file lacks the version.
        """
        if wrapped_key is None or key_version is None:
            raise Shredded(f"tenant {self.tenant}, {owner}: the key is shredded; nothing can be opened")
        return Sealer(self.tenant, owner, AESGCM(self._unwrapped(owner, wrapped_key, key_version)))

    def _unwrapped(self, owner: str, wrapped_key: bytes, key_version: int) -> bytes:
        if key_version not in self._wrapping:
            self.refresh()
        wrapping = self._wrapping.get(key_version)
        if wrapping is None:
            raise KeyFileError(
                f"tenant {self.tenant}, {owner}: key version {key_version} is not in the key file; "
                "put back the key file that had it"
            )
        key = _open(wrapping, wrapped_key, _bound(self.tenant, owner, "wrapped_key"))
        if key is None:
            raise SealBroken(
                f"tenant {self.tenant}, {owner}, field wrapped_key: does not open; check that the key file is this "
                "tenant's, or restore the row from a backup"
            )
        return key

    def archive_key(self) -> bytes:
        """Return the 32 bytes that the folder archive is sealed with: the same as long as the tenant exists."""
        return self._archive

    def keyed_hash(self, purpose: Purpose, data: bytes) -> str:
        """Return HMAC-SHA256 in hex, by which equal values are found without knowing them. Stable for the tenant."""
        return hmac.digest(self._hashing[purpose], data, "sha256").hex()


@dataclass(frozen=True)
class KeyFile:
    """Keys in a file that its owner alone can read.

    It is JSON: `current` (the version that wraps new data keys), `keys` (32 bytes each, base64, by version) and
    `hashing` (32 bytes, base64), which stays when a version is added, so that keyed hashes still match.
    """

    path: Path
    tenant: str

    def stamp(self) -> Hashable:
        """Return when the file was written and which one it is."""
        return file_stamp(self.path)

    def read(self) -> KeyMaterial:
        """Read the file. Raises KeyFileError where it is missing, open to others, or no key file."""
        try:
            mode = self.path.stat().st_mode
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise KeyFileError(
                f"{self.path}: no readable key file for tenant {self.tenant}; put it back, or make one for a new tenant"
            ) from None
        if mode & 0o007:
            raise KeyFileError(
                f"{self.path}: others on this machine can reach the key file; run: chmod 600 {self.path}"
            )
        return key_material(text, str(self.path))

    def write(self, material: KeyMaterial) -> None:
        """Put new content in the file's place: all of it, or the old one stays."""
        put_in_place(self.path, key_text(material))


@dataclass(frozen=True)
class KeyText:
    """Keys in a text, such as a secret of the environment: the key file's content, in base64."""

    text: str = field(repr=False)
    tenant: str

    def stamp(self) -> Hashable:
        """Return the same as long as the process runs."""
        return self.tenant

    def read(self) -> KeyMaterial:
        """Read the text. Raises KeyFileError where it is no key file in base64."""
        place = f"`key` of tenant {self.tenant}"
        try:
            content = base64.b64decode(self.text, validate=True).decode("utf-8")
        except ValueError:
            raise KeyFileError(f"{place}: not base64; set it to what `base64 -w0` makes of a key file") from None
        return key_material(content, place)


def key_material(text: str, place: str) -> KeyMaterial:
    """Return the keys of a key file's text. Raises KeyFileError, which names the place and shows nothing of it."""
    try:
        content = json.loads(text)
        keys = {int(version): _bytes(key) for version, key in content["keys"].items()}
        material = KeyMaterial(int(content["current"]), keys, _bytes(content["hashing"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"{place}: not a key file (see `new_key_file`); put back the file that was there") from None
    if material.current not in keys:
        raise KeyFileError(
            f"{place}: `current` names version {material.current}, which is not under `keys`; correct `current`"
        )
    return material


def tenant_keys(source: KeySource, tenant: str) -> TenantKeys:
    """Return a tenant's keys from where they are kept. Raises KeyFileError."""
    material = source.read()
    return TenantKeys(tenant, material.current, material.keys, material.hashing, source)


def read_key_file(path: Path, tenant: str) -> TenantKeys:
    """Read a tenant's key file. Raises KeyFileError where it is missing, open to others, or no key file."""
    return tenant_keys(KeyFile(path, tenant), tenant)


def new_key_file(path: Path) -> None:
    """Make a key file with fresh keys, readable by its owner only. Raises KeyFileError where one exists."""
    try:
        _create(path, key_text(KeyMaterial(1, {1: fresh_key()}, fresh_key())))
    except FileExistsError:
        raise KeyFileError(
            f"{path}: there is a key file already, and what is sealed opens with nothing else; "
            "move it away first if it is really to be replaced"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be made ({error.strerror}); make the folder first") from None


def fresh_key() -> bytes:
    """Return a new key."""
    return os.urandom(_KEY_BYTES)


def key_text(material: KeyMaterial) -> str:
    """Return the content of a key file."""
    keys = {str(version): _text(key) for version, key in material.keys.items()}
    return json.dumps({"current": material.current, "keys": keys, "hashing": _text(material.hashing)}, indent=1)


def file_stamp(path: Path) -> Hashable:
    """Return when a file was written and which one it is; None where that cannot be told now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def put_in_place(path: Path, text: str) -> None:
    """Put new content in a file's place, for its owner alone: all of it, or the old one stays. Raises OSError."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    _create(draft, text)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _create(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _bytes(encoded: str) -> bytes:
    key = base64.b64decode(encoded, validate=True)
    if len(key) != _KEY_BYTES:
        raise binascii.Error
    return key


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def store_log_keys(tx: Connection, tenant: str, made: Iterable[tuple[str, NewKey]], at: datetime) -> None:
    """Store the data keys of new logs, given by log id."""
    rows = [
        {
            "tenant": tenant,
            "log_id": log_id,
            "wrapped_key": new.wrapped_key,
            "key_version": new.key_version,
            "created_at": at,
        }
        for log_id, new in made
    ]
    if rows:
        tx.execute(insert(log_keys), rows)


def log_sealers(tx: Connection, keys: TenantKeys, log_ids: Collection[str]) -> dict[str, Sealer]:
    """Return the sealers of logs, by log id. Raises Shredded, SealBroken or KeyFileError."""
    found = {row.log_id: row for row in tx.execute(_LOG_KEYS, {"tenant": keys.tenant, "log_ids": list(log_ids)})}
    sealers = {}
    for log_id in log_ids:
        row = found.get(log_id)
        wrapped, version = (row.wrapped_key, row.key_version) if row else (None, None)
        sealers[log_id] = keys.sealer(f"log:{log_id}", wrapped, version)
    return sealers


def shred_log(tx: Connection, tenant: str, log_id: str) -> None:
    """Delete a log's data key. All that was sealed under it can never be opened again."""
    tx.execute(delete(log_keys).where(log_keys.c.tenant == tenant, log_keys.c.log_id == log_id))


def _derived(root: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"stafetthub/{purpose}".encode()).derive(root)


def _bound(*parts: str) -> bytes:
    return json.dumps(parts).encode()  # a list keeps its parts apart whatever stands in them


def _seal(key: AESGCM, data: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + key.encrypt(nonce, data, bound)


def _open(key: AESGCM, blob: bytes, bound: bytes) -> bytes | None:
    start = len(_FORMAT)
    if blob[:start] != _FORMAT:
        return None
    try:
        return key.decrypt(blob[start : start + _NONCE_BYTES], blob[start + _NONCE_BYTES :], bound)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        return None


_LOG_KEYS = select(log_keys.c.log_id, log_keys.c.wrapped_key, log_keys.c.key_version).where(
    log_keys.c.tenant == bindparam("tenant"), log_keys.c.log_id.in_(bindparam("log_ids", expanding=True))
)
