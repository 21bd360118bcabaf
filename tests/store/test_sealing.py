"""What is sealed opens only where it belongs, leaves no trace in clear, and is gone when its key is."""

from __future__ import annotations

import base64
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from hub.store.database import Database
from hub.store.sealing import (
    KeyFile,
    KeyFileError,
    KeyText,
    Purpose,
    SealBroken,
    Sealer,
    Shredded,
    TenantKeys,
    fresh_key,
    log_sealers,
    new_key_file,
    read_key_file,
    shred_log,
    store_log_keys,
    tenant_keys,
)
from hub.store.tables import log_keys, logs

TENANT = "100000008"  # made up
OTHER = "200000005"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
CANARY = b"Solskinn Testbarn bygger hytte"
BODY = "logs.sealed_body"

_KEYS = TenantKeys(TENANT, 1, {1: bytes(32)}, bytes(32))


def store_new_keys(tx: Connection, keys: TenantKeys, *log_ids: str) -> dict[str, Sealer]:
    """Make and store a data key for each log, and return their sealers."""
    made = {log_id: keys.new_key(f"log:{log_id}") for log_id in log_ids}
    store_log_keys(tx, keys.tenant, made.items(), NOW)
    return {log_id: new.sealer for log_id, new in made.items()}


@given(st.binary(max_size=2000), st.text(max_size=40))
def test_what_is_sealed_comes_back(data: bytes, field: str) -> None:
    """Any bytes, none too, open as they were under any field name."""
    sealer = _KEYS.new_key("log:l1").sealer
    assert sealer.open(field, sealer.seal(field, data)) == data


def test_sealing_twice_gives_two_blobs() -> None:
    """Equal content does not show as equal."""
    sealer = _KEYS.new_key("log:l1").sealer
    assert sealer.seal(BODY, CANARY) != sealer.seal(BODY, CANARY)


@given(st.data())
def test_a_changed_blob_does_not_open(data: st.DataObject) -> None:
    """One changed byte anywhere, or a shorter blob, is noticed."""
    sealer = _KEYS.new_key("log:l1").sealer
    blob = bytearray(sealer.seal(BODY, CANARY))
    at = data.draw(st.integers(0, len(blob) - 1))
    _refuses(sealer, BODY, bytes(blob[:at]))
    blob[at] ^= data.draw(st.integers(1, 255))
    _refuses(sealer, BODY, bytes(blob))


def test_a_blob_opens_for_its_own_field_only() -> None:
    """What was sealed as one column does not open as another."""
    sealer = _KEYS.new_key("log:l1").sealer
    _refuses(sealer, "records.sealed_record", sealer.seal(BODY, CANARY))


def test_a_blob_opens_for_its_own_log_only(db: Database, keys: TenantKeys) -> None:
    """A body copied to another log's row does not open there, not even together with its key."""
    with db.write() as tx:
        made = store_new_keys(tx, keys, "l1", "l2")
        _refuses(made["l2"], BODY, made["l1"].seal(BODY, CANARY))
        key_of_l1 = keys.new_key("log:l1").wrapped_key
        tx.execute(update(log_keys).where(log_keys.c.log_id == "l2").values(wrapped_key=key_of_l1))
        with pytest.raises(SealBroken, match=f"tenant {TENANT}, log:l2, field wrapped_key"):
            log_sealers(tx, keys, ["l2"])["l2"]


def test_another_tenants_key_does_not_open(tmp_path: Path, keys: TenantKeys) -> None:
    """Neither another tenant's key nor the same key under another tenant's name unwraps a data key."""
    new = keys.new_key("log:l1")
    new_key_file(tmp_path / f"{OTHER}.json")
    with pytest.raises(SealBroken):
        read_key_file(tmp_path / f"{OTHER}.json", OTHER).sealer("log:l1", new.wrapped_key, new.key_version)
    zeros = _KEYS.new_key("log:l1")
    with pytest.raises(SealBroken):
        TenantKeys(OTHER, 1, {1: bytes(32)}, bytes(32)).sealer("log:l1", zeros.wrapped_key, 1)


def test_a_stored_key_opens_again(db: Database, key_file: Path, keys: TenantKeys) -> None:
    """A sealer made from the stored key opens what the first one sealed, also with the key file read anew."""
    with db.write() as tx:
        blob = store_new_keys(tx, keys, "l1")["l1"].seal(BODY, CANARY)
    with db.read() as tx:
        again = read_key_file(key_file, TENANT)
        assert log_sealers(tx, again, ["l1"])["l1"].open(BODY, blob) == CANARY


def test_a_shredded_log_is_gone(db: Database, keys: TenantKeys) -> None:
    """Without its key a log says that it was shredded, and its neighbour still opens."""
    with db.write() as tx:
        made = store_new_keys(tx, keys, "l1", "l2")
        shred_log(tx, TENANT, "l1")
    with db.read() as tx:
        with pytest.raises(Shredded, match=f"tenant {TENANT}, log:l1"):
            log_sealers(tx, keys, ["l1"])["l1"]
        assert log_sealers(tx, keys, ["l2"])["l2"].open(BODY, made["l2"].seal(BODY, CANARY)) == CANARY


def test_a_row_without_log_has_its_own_key() -> None:
    """The key of a quarantined record is stored in its row; wiping it there shreds the record."""
    new = _KEYS.new_key("quarantine:q1")
    blob = new.sealer.seal("quarantine.sealed_record", CANARY)
    again = _KEYS.sealer("quarantine:q1", new.wrapped_key, new.key_version)
    assert again.open("quarantine.sealed_record", blob) == CANARY
    with pytest.raises(Shredded):
        _KEYS.sealer("quarantine:q1", None, None)


def test_the_canary_is_not_in_the_database(path: Path, db: Database, keys: TenantKeys) -> None:
    """Neither the database file nor its log holds a word, a key, or a byte run of what was sealed."""
    with db.write() as tx:
        sealer = store_new_keys(tx, keys, "l1")["l1"]
        row = {"tenant": TENANT, "log_id": "l1", "status": "active", "updated_at": NOW}
        subject = keys.keyed_hash(Purpose.SUBJECT, CANARY)
        tx.execute(insert(logs).values(sealed_body=sealer.seal(BODY, CANARY), subject_hash=subject, **row))
    on_disk = b"".join(file.read_bytes() for file in path.parent.glob("hub.db*"))
    assert subject.encode() in on_disk
    assert not any(word in on_disk for word in CANARY.split())
    assert CANARY.hex().encode() not in on_disk


def test_a_shredded_key_is_not_in_the_file_any_more(path: Path, db: Database, keys: TenantKeys) -> None:
    """Once the log is closed, the wrapped key of a shredded log is nowhere in the file."""
    new = keys.new_key("log:l1")
    with db.write() as tx:
        key = {"wrapped_key": new.wrapped_key, "key_version": new.key_version, "created_at": NOW}
        tx.execute(insert(log_keys).values(tenant=TENANT, log_id="l1", **key))
    with db.write() as tx:
        shred_log(tx, TENANT, "l1")
    db.close()
    assert new.wrapped_key not in b"".join(file.read_bytes() for file in path.parent.glob("hub.db*"))


def test_keyed_hashes_are_stable_and_kept_apart() -> None:
    """Equal values match, and neither another purpose, another value nor another tenant's key gives the same hash."""
    hashes = {_KEYS.keyed_hash(purpose, data) for purpose in Purpose for data in (b"1", b"2")}
    other = TenantKeys(OTHER, 1, {1: bytes(32)}, bytes([1] * 32)).keyed_hash(Purpose.SUBJECT, b"1")
    assert len(hashes | {other}) == 2 * len(Purpose) + 1
    assert _KEYS.keyed_hash(Purpose.SUBJECT, b"1") == _KEYS.keyed_hash(Purpose.SUBJECT, b"1")
    assert all(len(each) == 64 for each in hashes)


def test_a_new_version_wraps_and_the_old_one_still_opens(tmp_path: Path) -> None:
    """A version added to the key file wraps what is new; what was wrapped before opens, and hashes stay."""
    path = tmp_path / f"{TENANT}.json"
    new_key_file(path)
    before = read_key_file(tmp_path / f"{TENANT}.json", TENANT)
    old = before.new_key("log:l1")
    new_key_file(tmp_path / "spare.json")
    content, spare = json.loads(path.read_text()), json.loads((tmp_path / "spare.json").read_text())
    content["keys"]["2"], content["current"] = spare["keys"]["1"], 2
    path.write_text(json.dumps(content))
    after = read_key_file(tmp_path / f"{TENANT}.json", TENANT)
    assert after.new_key("log:l2").key_version == 2
    assert after.sealer("log:l1", old.wrapped_key, old.key_version).owner == "log:l1"
    assert after.keyed_hash(Purpose.VIEW, b"1") == before.keyed_hash(Purpose.VIEW, b"1")
    with pytest.raises(KeyFileError, match="key version 3 is not in the key file"):
        before.sealer("log:l2", b"", 3)


def test_a_running_process_learns_of_a_new_version(tmp_path: Path) -> None:
    """Keys read before a version was added wrap by it from then on, and open what others have wrapped by it."""
    path = tmp_path / f"{TENANT}.json"
    new_key_file(path)
    running, other = read_key_file(path, TENANT), read_key_file(path, TENANT)
    material = KeyFile(path, TENANT).read()
    KeyFile(path, TENANT).write(replace(material, current=2, keys={**material.keys, 2: fresh_key()}))
    wrapped = running.new_key("log:l1")
    assert wrapped.key_version == 2
    assert other.sealer("log:l1", wrapped.wrapped_key, 2).owner == "log:l1"
    path.unlink()
    assert running.new_key("log:l2").key_version == 2


def test_keys_may_come_as_text() -> None:
    """A key file's content in base64, as a secret of the environment, gives the same keys; damage is told."""
    content = {"current": 1, "keys": {"1": "A" * 43 + "="}, "hashing": "A" * 43 + "="}
    text = base64.b64encode(json.dumps(content).encode()).decode()
    found = tenant_keys(KeyText(text, TENANT), TENANT)
    new = _KEYS.new_key("log:l1")
    assert found.sealer("log:l1", new.wrapped_key, 1).owner == "log:l1"
    with pytest.raises(KeyFileError, match=f"`key` of tenant {TENANT}: not base64"):
        KeyText("canary?", TENANT).read()
    assert text not in repr(KeyText(text, TENANT))


def test_a_key_file_is_its_owners_and_never_overwritten(tmp_path: Path) -> None:
    """A new key file is readable by its owner only, and a second one in the same place is refused."""
    path = tmp_path / f"{TENANT}.json"
    new_key_file(path)
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileError, match="there is a key file already"):
        new_key_file(path)
    assert path.read_bytes() == first


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    """A file that others can read is not used, and the error says the command that mends it."""
    path = tmp_path / f"{TENANT}.json"
    new_key_file(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key_file(tmp_path / f"{TENANT}.json", TENANT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no readable key file"),
        ("no json", "not a key file"),
        ('{"current": 1, "keys": {"1": "c2hvcnQ="}, "hashing": "c2hvcnQ="}', "not a key file"),
        ('{"current": 1, "keys": {"1": "canary?"}, "hashing": "c2hvcnQ="}', "not a key file"),
        ("[]", "not a key file"),
        (json.dumps({"current": 2, "keys": {}, "hashing": "A" * 43 + "="}), "correct `current`"),
    ],
)
def test_a_broken_key_file_says_what_to_do(tmp_path: Path, text: str | None, said: str) -> None:
    """A missing or damaged key file is named with a remedy, and nothing of its content is shown."""
    path = tmp_path / f"{TENANT}.json"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    with pytest.raises(KeyFileError, match=said) as caught:
        read_key_file(tmp_path / f"{TENANT}.json", TENANT)
    assert "canary" not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_keys_are_in_no_representation() -> None:
    """What a debugger or a log line would print of keys and sealers holds no key."""
    new = _KEYS.new_key("log:l1")
    assert repr(new.sealer) == f"Sealer(tenant='{TENANT}', owner='log:l1')"
    assert "wrapped_key" not in repr(new)


def _refuses(sealer: Sealer, field: str, blob: bytes) -> None:
    with pytest.raises(SealBroken) as caught:
        sealer.open(field, blob)
    message = str(caught.value)
    assert message.startswith(f"tenant {TENANT}, {sealer.owner}, field {field}: ")
    assert not any(word.decode() in message for word in CANARY.split())
