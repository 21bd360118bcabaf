"""One record that no rule can read: the others go on, it waits with its reason, and goes the same way once it can."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from hub.store.tables import QuarantineState, quarantine
from tests.faults.children import SOURCE
from tests.faults.house import House, house

pytestmark = pytest.mark.long

SINK, POISONED = "refuses_key", 57


def _quarantined(hub: House) -> list[tuple[str, str]]:
    waiting = select(quarantine.c.foreign_id, quarantine.c.reason).where(quarantine.c.state == QuarantineState.OPEN)
    return [(row.foreign_id, row.reason) for row in hub.rows(waiting)]


def test_one_poisoned_record_in_a_page(tmp_path: Path, url: str) -> None:
    """Of a page of a hundred, ninety-nine are delivered; when the mapping can read the last, a replay takes it in."""
    count = 100
    with house(tmp_path, count, only=[SOURCE, SINK], database=url) as (other, hub, _):
        other.order(SOURCE, **{"break": POISONED})
        hub.rest()
        poisoned = f"{SOURCE}-{POISONED:05}"
        assert _quarantined(hub) == [(poisoned, "unmapped")]
        assert len(other.journal(SINK)) == count - 1
        assert other.lacking(SINK) == [f"{SINK}-{POISONED:05}"]

        other.order(SOURCE, edit=1, which=[POISONED, POISONED + 1])
        hub.work(SOURCE)
        hub.mend(opened_on={"at": "/opened_on", "date": ["iso", "%d.%m.%Y"]})
        assert hub.hub("inbox", "replay", "--all", "--who", "it-vakt", "--why", "mended") == 0, hub.log()
        assert _quarantined(hub) == []
        assert poisoned in hub.stored(SOURCE)

        hub.rest()
        assert other.doubles() == []
        assert other.lacking(SINK) == []
        assert len(other.journal(SINK)) == count
