"""What may be neither shared nor archived is not kept, and is pulled again when consent comes, in whichever system."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.relaylog.codes import LogStatus
from hub.sandbox.stories import ordinary_kindergarten, shared_level_2
from hub.store.tables import DeliveryKind, ProposalKind, deliveries, logs, proposals, records
from hub.store.wipe import ShredList
from hub.sync.wipe import Keeper
from tests.sync.house import SAMSPILL, VIGILO, House

IN_VIGILO, IN_SAMSPILL = "vl-000001", "P-10001"


@pytest.fixture
def consents(house: House) -> list[object]:
    """Enter a child in both systems who awaits consent, pull both, and keep nothing of it; give the consents."""
    house.tell(shared_level_2)
    given = house.samspill()["consents"]
    for record, status, consent in ((house.vigilo(), "status", "samtykke"), (house.samspill(), "state", "consents")):
        record[status] = "VENTAR_SAMTYKKE" if status == "status" else "venter_samtykke"
        record[consent] = []
        house.saved(record)
    house.sync()
    assert house.log_of(IN_VIGILO).log_id == house.log_of(IN_SAMSPILL).log_id
    return list(given)


def _drop(house: House, folder: Path) -> list[str]:
    """Do what the nightly wipe does with what may not be kept."""
    keeper = Keeper(house.tenant, ShredList(folder / "shredded"), "hub")
    return [log_id for log_id in keeper.unkept() if keeper.drop(log_id)]


def _living(house: House) -> dict[str, str | None]:
    """Give the log of each record of which anything is kept."""
    here: dict[str, str | None] = {}
    with house.db.read() as tx:
        for connection in (VIGILO, SAMSPILL):
            here |= house.tenant.logs.record_ids(tx, connection)
    return here


def test_what_is_not_kept_is_not_read_again_by_itself(house: House, consents: list[object], tmp_path: Path) -> None:
    """Days of listing later nothing of it is there, and nobody is asked about a record that it had or has lost."""
    del consents
    assert len(_drop(house, tmp_path)) == 1
    for _ in range(2):
        house.time.after(days=1)
        house.sync()
    assert _living(house) == {IN_VIGILO: None, IN_SAMSPILL: None}
    house.tell(ordinary_kindergarten)
    del house.world.vigilo[IN_VIGILO]
    house.sync()
    assert house.rows(proposals) == []
    assert all(row.sealed_record is None for row in house.rows(records) if row.foreign_id in (IN_VIGILO, IN_SAMSPILL))


def test_a_consent_in_one_system_brings_the_other_ones_record_back(
    house: House, consents: list[object], tmp_path: Path
) -> None:
    """Vigilo says nothing new, and yet its record is read again and joins, and what the consent opens is sent."""
    (dropped,) = _drop(house, tmp_path)
    house.time.after(days=1)
    house.samspill()["consents"] = consents
    house.samspill()["state"] = "aktiv"
    house.saved(house.samspill())
    house.sync()
    house.time.after(hours=1)
    house.sync()
    (log_id,) = set(_living(house).values())
    assert log_id not in (None, dropped)
    assert len(house.rows(logs)) == 2
    assert house.rows(proposals, kind=ProposalKind.MATCH) == []
    assert {row.connection for row in house.rows(deliveries, kind=DeliveryKind.UPDATE, log_id=log_id)}
    assert _drop(house, tmp_path) == []


def test_a_child_of_its_own_brings_nothing_else_back(house: House, consents: list[object], tmp_path: Path) -> None:
    """Another child's log that may be kept has nobody else's record read again."""
    del consents
    _drop(house, tmp_path)
    house.tell(ordinary_kindergarten)
    house.time.after(days=1)
    house.sync()
    assert {name: log for name, log in _living(house).items() if log is None} == {IN_VIGILO: None, IN_SAMSPILL: None}


def test_a_change_without_consent_is_read_and_dropped_again(
    house: House, consents: list[object], tmp_path: Path
) -> None:
    """A new text in one system is a log for that day alone; the other system's record stays unread."""
    del consents
    _drop(house, tmp_path)
    house.time.after(days=1)
    house.vigilo()["steg"] = "0.2"
    house.saved(house.vigilo())
    house.sync()
    assert [name for name, log in _living(house).items() if log] == [IN_VIGILO]
    assert len(_drop(house, tmp_path)) == 1
    assert set(_living(house).values()) == {None}
    assert [row.status for row in house.rows(logs)] == [LogStatus.AWAITING_CONSENT] * 2
