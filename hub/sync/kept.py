"""How a record lies in quarantine: whole, with its version and the file that it came in.

A file that was read is moved away, so that replaying what is kept may be the record's only way back.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from hub.connectors.base import SourceRecord


def to_kept(record: SourceRecord) -> bytes:
    """Return a record as bytes; its id is kept beside them."""
    original = None if record.original is None else b64encode(record.original).decode("ascii")
    return json.dumps({"version": record.version, "tree": record.tree, "original": original}).encode()


def from_kept(record_id: str, data: bytes) -> SourceRecord:
    """Return the record that `to_kept` was given."""
    kept = json.loads(data)
    original = None if kept["original"] is None else b64decode(kept["original"])
    return SourceRecord(record_id, kept["version"], kept["tree"], original)
