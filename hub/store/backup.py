"""Backup and restore: every row of the store in one file that a private key alone opens.

The rows are read in one transaction that sees one state, on either database, while others write. What is sealed is
carried as it lies, so that a backup needs no tenant key and holds none; it opens nothing about a child without them.
The file is encrypted to a public key, so that the machine that makes backups cannot read them: X25519 (RFC 7748) with
a key pair of its own for each file, HKDF-SHA256, and AES-256-GCM in chunks whose nonces count, as in STREAM (Hoang,
Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption, 2015); the last one is marked, so that nothing can be
cut off, moved or repeated.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Column, Connection, Date, LargeBinary, Table, exists, func, insert, select

from hub.store.database import Database, newest_revision
from hub.store.tables import Utc, metadata
from hub.store.wipe import ShredList, shred_again

_MAGIC = b"stafetthub backup 1\n"
_CHUNK = 64 * 1024
_TAG = 16
_KEY_BYTES = 32
_BATCH = 500


class BackupFailed(Exception):
    """A backup cannot be made or read. Says what is wrong and what to do, never a value."""


def new_key_pair(private: Path, public: Path) -> None:
    """Make a key pair for backups, PEM as `openssl genpkey -algorithm X25519` makes it. Raises BackupFailed."""
    key = X25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    for path, content in (
        (private, secret),
        (public, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)),
    ):
        with _made(path) as file:
            file.write(content)


def public_key(path: Path) -> X25519PublicKey:
    """Read a public key for backups. Raises BackupFailed."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, X25519PublicKey):
        raise BackupFailed(f"{path}: no public key for backups. Make a pair with `hub keys backup`")
    return key


def private_key(path: Path) -> X25519PrivateKey:
    """Read a private key for backups. Raises BackupFailed."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise BackupFailed(f"{path}: no private key for backups. Give the one whose public key the backup was made to")
    return key


def back_up(db: Database, to: Path, key: X25519PublicKey, now: datetime) -> dict[str, int]:
    """Write every row to a new file, and return the rows by table. Raises BackupFailed; then no file is left.

    What is written while it is made is in it whole or not at all.
    """
    rows: dict[str, int] = {}
    draft = to.with_name(f".{to.name}.part")
    if to.exists():
        raise BackupFailed(f"{to}: there is a file already. Name another one")
    try:
        with _made(draft) as file, db.read() as tx:
            _encrypt(file, key, _lines(tx, now, rows))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(to)
    finally:
        draft.unlink(missing_ok=True)
    return rows


def restore(source: Path, key: X25519PrivateKey, target: Database, shredded: ShredList) -> Restored:
    """Read a backup into an empty database, then shred there what the list names. All of it is done, or nothing.

    Raises BackupFailed where the file or the key is wrong, the file is not whole, or the database has rows, and
    ShredListError.
    """
    target.migrate()
    with target.write() as tx:
        if used := [table.name for table in metadata.sorted_tables if tx.scalar(select(exists().select_from(table)))]:
            raise BackupFailed(f"The database has rows already, such as in {used[0]}. Give an empty one")
        try:
            with source.open("rb") as file:
                lines = _split(_decrypt(file, key))
                made_at = _head(next(lines, b""))
                rows = _read_rows(tx, lines)
        except OSError as error:
            raise BackupFailed(f"{source}: cannot be read ({error.strerror})") from None
        for table in metadata.sorted_tables:
            _go_on_counting(tx, table)
        again = shred_again(tx, shredded.read(), "hub")
    target.forget_deleted()
    return Restored(made_at, rows, again)


@dataclass(frozen=True)
class Restored:
    """What a restore did: when the backup was made, the rows by table, and the logs that were shredded again."""

    made_at: datetime
    rows: dict[str, int]
    shredded: int


# --- rows as lines ----------------------------------------------------------------------------------------------------


def _lines(tx: Connection, now: datetime, rows: dict[str, int]) -> Iterator[bytes]:
    """Yield a head, each row after the name of its table, and the rows by table, which are also noted in `rows`."""
    yield _line({"revision": newest_revision(), "made_at": now.isoformat()})
    for table in metadata.sorted_tables:
        rows[table.name] = 0
        found = tx.execution_options(yield_per=_BATCH).execute(select(table).order_by(*table.primary_key))
        for row in found:
            rows[table.name] += 1
            yield _line([table.name, *(_plain(value) for value in row)])
    yield _line({"rows": rows})


def _line(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def _head(line: bytes) -> datetime:
    """Return when a backup was made. Raises BackupFailed where another version of the tables made it."""
    head = json.loads(line or b"{}")
    if head.get("revision") != newest_revision():
        raise BackupFailed(
            f"The backup has tables of revision {head.get('revision')}, this hub of {newest_revision()}. "
            "Restore it with the version of the hub that made it, and upgrade then"
        )
    return datetime.fromisoformat(head["made_at"])


def _read_rows(tx: Connection, lines: Iterator[bytes]) -> dict[str, int]:
    rows: dict[str, int] = {table.name: 0 for table in metadata.sorted_tables}
    waiting: list[list[Any]] = []
    for line in lines:
        found = json.loads(line)
        if isinstance(found, dict):
            _insert(tx, waiting)
            if found["rows"] == rows:
                return rows
            break
        if waiting and (waiting[0][0] != found[0] or len(waiting) == _BATCH):
            _insert(tx, waiting)
            waiting = []
        waiting.append(found)
        rows[found[0]] += 1
    raise BackupFailed("The backup has not as many rows as it says. Nothing was restored; take another one")


def _insert(tx: Connection, rows: list[list[Any]]) -> None:
    if rows:
        table = metadata.tables[rows[0][0]]
        columns = list(table.c)
        tx.execute(
            insert(table),
            [{c.name: _typed(c, value) for c, value in zip(columns, row[1:], strict=True)} for row in rows],
        )


def _typed(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - a column holds a value of any type
    """Give a value of a line the type that its column takes; codes go in as their text."""
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    if isinstance(column.type, Utc):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(column.type, Date) else value


def _go_on_counting(tx: Connection, table: Table[Any]) -> None:
    """Let a counted column go on after its greatest number; SQLite does so by itself."""
    column = table.autoincrement_column
    last = tx.scalar(select(func.max(column))) if column is not None and tx.dialect.name == "postgresql" else None
    if last and column is not None:
        tx.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), last)))


# --- the encrypted file -----------------------------------------------------------------------------------------------


def _encrypt(file: BinaryIO, to: X25519PublicKey, lines: Iterable[bytes]) -> None:
    own = X25519PrivateKey.generate()
    sent, key = own.public_key().public_bytes_raw(), own.exchange(to)
    cipher = _cipher(key, sent, to.public_bytes_raw())
    file.write(_MAGIC + sent)
    number, buffer = 0, bytearray()
    for line in lines:
        buffer += line
        while len(buffer) > _CHUNK:  # never all of it: the last chunk is known only at the end
            file.write(cipher.encrypt(_nonce(number, last=False), bytes(buffer[:_CHUNK]), None))
            del buffer[:_CHUNK]
            number += 1
    file.write(cipher.encrypt(_nonce(number, last=True), bytes(buffer), None))


def _decrypt(file: BinaryIO, key: X25519PrivateKey) -> Iterator[bytes]:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise BackupFailed("The file is no backup of a hub. Name one that `hub backup` made")
    sent = file.read(_KEY_BYTES)
    if len(sent) != _KEY_BYTES:
        raise BackupFailed("The backup is cut off. Take another one")
    cipher = _cipher(key.exchange(X25519PublicKey.from_public_bytes(sent)), sent, key.public_key().public_bytes_raw())
    number, chunk = 0, file.read(_CHUNK + _TAG)
    while True:
        following = file.read(_CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except (InvalidTag, ValueError):
            raise BackupFailed(
                f"The backup does not open at chunk {number + 1}: it is cut off or changed, or the private key is "
                "another one than it was made to. Nothing was restored"
            ) from None
        if not following:
            return
        number, chunk = number + 1, following


def _cipher(shared: bytes, sent: bytes, to: bytes) -> AESGCM:
    """Return the cipher of one file: its key is of the exchange and of both public keys."""
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=sent + to, info=b"stafetthub/backup").derive(shared))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; what the last line break does not end is no line."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _made(path: Path) -> BinaryIO:
    """Make a file that its owner alone can read. Raises BackupFailed."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise BackupFailed(f"{path}: there is a file already. Move it away, or name another one") from None
    except OSError as error:
        raise BackupFailed(
            f"{path}: cannot be made ({error.strerror}). Name a file in a folder that is there"
        ) from None
