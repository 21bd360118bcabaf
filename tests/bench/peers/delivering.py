"""The hub sending one by one: each log is routed, and its change sent over HTTP to a sink, with receipt.

`python -m tests.bench.peers.delivering PORT FOLDER` pulls the fault bench's source and one of its sinks, then measures
the deliveries.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hub.connectors.http import Limits
from hub.connectors.relaylog import RelayLogs, Settings
from hub.mappings import load_shipped
from hub.operate.process import collect_seldom
from hub.relaylog.codes import Service
from hub.store.database import open_database
from hub.sync.context import Connection
from hub.sync.cycle import Cycle, CycleResult
from tests.bench.peers.measured import measured
from tests.bench.peers.with_hub import CLOCK, ORGNR, house
from tests.faults.children import SINKS, SOURCE

SINK = "refuses_key"


def connection(name: str, port: str, service: str) -> Connection:
    """Make a connection to one system of the other side."""
    settings = Settings(base_url=f"http://127.0.0.1:{port}/{name}", repeat="key")
    own = frozenset(one for one in Service if one == service)
    return Connection(
        id=f"{ORGNR}/{name}",
        services=own,
        readers=own,
        mapping=load_shipped("relaylog/open"),
        connector=RelayLogs(settings, Limits(), CLOCK, {}),
        first_contact="send",
        deliver=True,
        verified_ids=True,
    )


def main(port: str, folder: Path) -> None:
    """Route, then deliver; each is measured by itself."""
    collect_seldom()
    db = open_database(f"sqlite:///{folder}/hub.db")
    db.migrate()
    tenant, _ = house("", folder, db)
    both = (connection(SOURCE, port, SOURCE), connection(SINK, port, SINKS[SINK]))
    tenant = replace(tenant, connections={each.id: each for each in both})
    cycle = Cycle(tenant, "bench")
    for each in both:
        assert not cycle.pull_by_hand(each, "first").error
    measured(cycle.route)

    def deliver() -> int:
        result = CycleResult()
        cycle.deliver(result)
        return sum(result.sent.values())

    measured(deliver)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
