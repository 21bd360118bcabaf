"""Records that no rule can read: the others go on, they wait with their reason, and go the same way once they can."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from hub.store.tables import QuarantineState, quarantine, runs
from hub.sync.replay import WHY
from tests.faults.children import SINKS, SOURCE, Tree
from tests.faults.house import PATIENCE, House, house, scale, show, wait_for

pytestmark = pytest.mark.long

SINK, POISONED = "refuses_key", 57
READABLE: Tree = {"at": "/opened_on", "date": ["iso", "%d.%m.%Y"]}
REPLAY = ("inbox", "replay", "--all", "--who", "it-vakt", "--why", "mended")


def _quarantined(hub: House) -> list[tuple[str, str]]:
    waiting = select(quarantine.c.foreign_id, quarantine.c.reason).where(quarantine.c.state == QuarantineState.OPEN)
    return [(row.foreign_id, row.reason) for row in hub.rows(waiting)]


def test_one_poisoned_record_in_a_page(tmp_path: Path, url: str) -> None:
    """Of a page of a hundred, ninety-nine are delivered; when the mapping can read the last, a replay takes it in."""
    count = 100
    with house(tmp_path, count, only=[SOURCE, SINK], database=url) as (other, hub, _):
        other.order(SOURCE, **{"break": [POISONED, POISONED + 1]})
        hub.rest()
        poisoned = f"{SOURCE}-{POISONED:05}"
        assert _quarantined(hub) == [(poisoned, "unmapped")]
        assert len(other.journal(SINK)) == count - 1
        assert other.lacking(SINK) == [f"{SINK}-{POISONED:05}"]

        other.order(SOURCE, edit=1, which=[POISONED, POISONED + 1])
        hub.work(SOURCE)
        hub.mend(opened_on=READABLE)
        assert hub.hub(*REPLAY) == 0, hub.log()
        assert _quarantined(hub) == []
        assert poisoned in hub.stored(SOURCE)

        hub.rest()
        assert other.doubles() == []
        assert other.lacking(SINK) == []
        assert len(other.journal(SINK)) == count


def test_all_replayed_twice_at_once(tmp_path: Path, url: str) -> None:
    """Two processes ask at once for all that waits, while a third works: each record reaches each sink once.

    Some are edited and read anew meanwhile: what is older never follows what is newer, nor takes its place.
    """
    count, sound = scale(full=5_000, short=30), 5
    edited = count // 4
    with house(tmp_path, sound + count, database=url) as (other, hub, _):
        other.order(SOURCE, **{"break": [sound, sound + count]})
        hub.rest()
        assert len(_quarantined(hub)) == count
        hub.mend(opened_on=READABLE)
        started = hub.told("hub:engine:started")
        worker = hub.start("run")
        wait_for(lambda: hub.told("hub:engine:started") > started, 60, hub.log)

        asking = [hub.start(*REPLAY) for _ in range(2)]
        wait_for(lambda: bool(_replays(hub)) or all(each.poll() is not None for each in asking), 60, hub.log)
        other.order(SOURCE, edit=1, which=[sound, sound + edited])
        hub.queue(SOURCE)
        ended = sorted(process.wait(PATIENCE) for process in asking)
        wait_for(lambda: not hub.at_work() or worker.poll() is not None, PATIENCE, hub.log)
        hub.stop(worker)
        assert ended in ([0, 0], [0, 1]), hub.log()  # 1: all of it was being taken in already
        hub.rest()

        read = sum(row.counts["read"] for row in _replays(hub))
        show("replayed twice at once", quarantined=count, replays=len(_replays(hub)), taken_in_by_them=read)
        assert _quarantined(hub) == []
        assert 0 < read <= count
        assert other.doubles() == []
        assert other.lacking() == []
        for sink in SINKS:
            sent = Counter(line["record"] for line in other.journal(sink))
            assert len(sent) == sound + count
            assert sum(sent.values()) <= sound + count + edited
            assert all(
                sent[f"{sink}-{number:05}"] == 1 for number in (*range(sound), *range(sound + edited, sound + count))
            )


def _replays(hub: House) -> list[Row[Any]]:
    return hub.rows(select(runs).where(runs.c.why == WHY))
