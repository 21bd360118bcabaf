"""The least that a proven delivery could be: written down, sent by httpx, the answer read, its receipt written down.

`python -m tests.bench.peers.bare_delivering PORT FOLDER` sends every record of the source to one sink, each with a key
of its own. Two commits a delivery, both flushed to the disk, as whoever wants proof needs them; nothing is planned,
merged, sealed, gated or looked at again, and no other process could take over.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import httpx

from hub.relaylog.model import RelayLog
from tests.bench.peers.measured import measured
from tests.faults.children import SOURCE

SINK = "refuses_key"
"""The sink that the hub delivers to as well."""


def main(port: str, folder: Path) -> None:
    """Send each record once."""
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(trust_env=False, base_url=url) as client:
        held, news = (client.post(f"/{name}", json={}).json()["records"] for name in (SINK, SOURCE))
        waiting = [
            (record_id, before["version"], after["body"])
            for (record_id, before), after in zip(held.items(), news.values(), strict=True)
        ]

        def work() -> int:
            db = sqlite3.connect(folder / "bare.db", isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("CREATE TABLE deliveries (id TEXT PRIMARY KEY, state TEXT, held TEXT)")
            for record_id, version, body in waiting:
                db.execute("INSERT INTO deliveries VALUES (?, 'sending', NULL)", (record_id,))
                headers = {"If-Match": f'"{version}"', "Idempotency-Key": f"bare-{record_id}"}
                answer = client.put(f"/{SINK}/relaylogs/{record_id}", json=body, headers=headers)
                answer.raise_for_status()
                now = RelayLog.model_validate_json(json.dumps(answer.json()["body"]))
                done = (now.model_dump_json(exclude_defaults=True), record_id)
                db.execute("UPDATE deliveries SET state = 'done', held = ? WHERE id = ?", done)
            return int(db.execute("SELECT count(*) FROM deliveries WHERE state = 'done'").fetchone()[0])

        measured(work)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
