"""A consent that no system tells of any more: nobody knows whether it stands, and nothing older opens in its place."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row

from hub.relaylog.codes import ConsentStatus, Service
from hub.relaylog.gates import stops
from hub.store.decisions import Who
from hub.store.logs import LogStore
from hub.store.sealing import new_key_file, read_key_file
from hub.store.tables import ConflictState, ProposalKind, conflicts, proposals
from hub.store.wipe import never_started
from hub.sync.admit import id_of
from hub.sync.decide import LOG, CannotDecide, Decisions
from tests.sync.house import SAMSPILL, TODAY, VIGILO, House, rules

WHO = Who("user-1", "Ringt foreldrene.")
TO = "HELSESTASJON"


def _narrowed(house: House) -> dict[str, Any]:
    """Bring a shared log to where only the kindergarten's system has a newer, narrower consent; return that one."""
    house.at_rest()
    held = house.vigilo()["samtykke"]
    newer: dict[str, Any] = deepcopy(next(one for one in held if one["mottakar"] == TO))
    newer |= {"id": "sm-nytt", "gjeldFra": f"{house.time.at:%d.%m.%Y}", "gittAv": []}
    held.append(newer)
    _pulled(house)
    assert _stopped(house) == ["signer_missing"]
    return newer


def _pulled(house: House) -> None:
    house.saved(house.vigilo())
    assert house.pull(VIGILO).error == ""


def _deleted(house: House, *ids: str) -> None:
    record = house.vigilo()
    record["samtykke"] = [one for one in record["samtykke"] if one["id"] not in ids]
    _pulled(house)


def _stopped(house: House) -> list[str]:
    log, day = house.log_of("vl-000001").log, house.time.at.date()
    return [stop.reason for stop in stops(log, {Service.HEALTH_STATION}, day, rules(day))]


def _proposed(house: House, state: str = "open") -> list[Row[Any]]:
    return [
        row for row in house.rows(proposals, kind=ProposalKind.DELETION, collection="consents") if row.state == state
    ]


def test_an_older_consent_stays_closed(house: House) -> None:
    """The newer one is deleted in the only system that had it: what it closed stays closed, and a person is asked."""
    _narrowed(house)
    _deleted(house, "sm-nytt")
    assert _stopped(house) == ["consent_unknown"]
    assert [row.connection for row in _proposed(house)] == [VIGILO]
    house.sync()
    assert house.received("samspill") == []
    assert _stopped(house) == ["consent_unknown"]
    assert len(house.samspill()["consents"]) == len(house.vigilo()["samtykke"])


def test_it_opens_when_a_person_says_that_the_deletion_is_meant(house: House) -> None:
    """Entered by mistake and deleted: whoever is asked says so, and the older one counts again."""
    _narrowed(house)
    _deleted(house, "sm-nytt")
    (asked,) = _proposed(house)
    Decisions(house.tenant).accept(asked.proposal_id, WHO)
    assert _stopped(house) == []
    _pulled(house)
    assert _stopped(house) == []


def test_one_that_stands_must_be_entered_anew(house: House) -> None:
    """The hub writes no consent of its own: refusing the deletion is answered with what to do, and nothing opens."""
    _narrowed(house)
    _deleted(house, "sm-nytt")
    (asked,) = _proposed(house)
    with pytest.raises(CannotDecide, match="entered there anew"):
        Decisions(house.tenant).refuse(asked.proposal_id, WHO)
    assert _stopped(house) == ["consent_unknown"]
    assert len(_proposed(house)) == 1


def test_it_is_known_again_when_a_system_tells_of_it(house: House) -> None:
    """An import that dropped it one night and brings it back: it says what it said, and nobody is asked any more."""
    newer = _narrowed(house)
    _deleted(house, "sm-nytt")
    house.vigilo()["samtykke"].append(newer)
    _pulled(house)
    assert _stopped(house) == ["signer_missing"]
    assert _proposed(house) == []


def test_a_newer_consent_takes_its_place(house: House) -> None:
    """Whoever consents anew need not have an old mistake cleared up first."""
    _narrowed(house)
    _deleted(house, "sm-nytt")
    house.time.after(days=1)
    first = next(one for one in house.vigilo()["samtykke"] if one["mottakar"] == TO)
    anew = {**deepcopy(first), "id": "sm-igjen", "gjeldFra": f"{house.time.at:%d.%m.%Y}"}
    house.vigilo()["samtykke"].append(anew)
    _pulled(house)
    assert _stopped(house) == []
    assert _proposed(house) == []
    statuses = [one.status for one in house.log_of("vl-000001").log.consents]
    assert statuses.count(ConsentStatus.UNKNOWN) == 1  # it tells since when the new one opens without a break
    house.sync()
    house.sync()
    assert len(house.samspill()["consents"]) == len(house.vigilo()["samtykke"])


def test_one_that_every_system_has_deleted_opens_nothing(house: House) -> None:
    """Known to both systems and deleted in both: it stays to be decided over, and opens nothing until then."""
    _narrowed(house)
    both = [one["id"] for one in house.vigilo()["samtykke"] if one["mottakar"] == TO]
    _deleted(house, *both)
    plan = house.samspill()
    plan["consents"] = [one for one in plan["consents"] if one["toService"] != TO]
    house.saved(plan)
    assert house.pull(SAMSPILL).error == ""
    assert _stopped(house) == ["consent_unknown"]


@pytest.mark.parametrize("status", ["TREKT", "AVVIST"])
def test_one_that_has_ended_is_remembered_as_it_was(house: House, status: str) -> None:
    """A withdrawal that is deleted with its consent still counts as one."""
    newer = _narrowed(house)
    newer.update({"status": status, "trekt": f"{house.time.at:%d.%m.%Y}" if status == "TREKT" else None})
    _pulled(house)
    _deleted(house, "sm-nytt")
    assert _stopped(house) == ["consent_withdrawn" if status == "TREKT" else "consent_refused"]
    ended = {one.status for one in house.log_of("vl-000001").log.consents if one.valid_from == house.time.at.date()}
    assert ended == {ConsentStatus.WITHDRAWN if status == "TREKT" else ConsentStatus.REFUSED}


@pytest.mark.parametrize(
    "edit", [{"gjeldFra": ""}, {"gjeldFra": "01.01.2027"}, {"mottakar": "PPT"}, {"status": "VENTAR"}]
)
def test_one_that_is_written_over_is_lost_too(house: House, edit: dict[str, str]) -> None:
    """Made another, or one that nobody has decided, it opens nothing older: a person is asked what became of it."""
    newer = _narrowed(house)
    newer.update(edit)
    _pulled(house)
    assert _stopped(house) == ["consent_unknown"]
    (asked,) = _proposed(house)
    house.sync()
    assert house.received("samspill") == []
    Decisions(house.tenant).accept(asked.proposal_id, WHO)
    assert _stopped(house) == []


LONGER = f"{TODAY + timedelta(days=300):%d.%m.%Y}"


def _limited(house: House) -> None:
    """Let only the kindergarten's system have a consent with an end, and then make that a later one."""
    newer = _narrowed(house)
    newer["gjeldTil"] = f"{TODAY:%d.%m.%Y}"
    _pulled(house)
    newer["gjeldTil"] = LONGER
    _pulled(house)


def _written(house: House) -> str:
    return str(next(one["gjeldTil"] for one in house.vigilo()["samtykke"] if one["id"] == "sm-nytt"))


def _ends(house: House) -> date | None:
    return next(one.valid_to for one in house.log_of("vl-000001").log.consents if one.valid_from == TODAY)


def test_what_would_open_more_is_asked_about_and_not_written_over(house: House) -> None:
    """A corrected end stays in its system as it was written; for the rules the first one holds until it is settled."""
    _limited(house)
    assert _ends(house) == TODAY
    house.sync()
    house.sync()
    assert (_written(house), _ends(house)) == (LONGER, TODAY)
    (asked,) = house.rows(conflicts, state=ConflictState.OPEN)
    assert asked.path == "consents[].valid_to"


@pytest.mark.parametrize(("take", "ends"), [(VIGILO, TODAY + timedelta(days=300)), (LOG, TODAY)])
def test_a_person_settles_which_end_holds(house: House, take: str, ends: date) -> None:
    """Taken from the system it is the longer; the log's own is sent to the system, as with any other conflict."""
    _limited(house)
    (asked,) = house.rows(conflicts, state=ConflictState.OPEN)
    Decisions(house.tenant).settle(asked.conflict_id, take, WHO)
    house.sync()
    house.sync()
    assert _ends(house) == ends
    assert _written(house) == f"{ends:%d.%m.%Y}"
    assert house.rows(conflicts, state=ConflictState.OPEN) == []


def test_what_is_not_kept_is_kept_while_somebody_is_asked(house: House) -> None:
    """A log that waits for consent is not wiped while nobody has said whether a deleted consent still stands."""
    _narrowed(house)
    house.vigilo()["status"] = "VENTAR_SAMTYKKE"
    _deleted(house, "sm-nytt")
    with house.db.read() as tx:
        assert never_started(tx, house.tenant.organisation_number) == []


def test_the_id_of_a_lost_consent_tells_nobody_whom_it_was_to(house: House, tmp_path: Path) -> None:
    """It stands in clear, and may be to child welfare: who knows the words it is made of has not the key."""
    new_key_file(tmp_path / "key.json")
    others = LogStore(read_key_file(tmp_path / "key.json", house.tenant.organisation_number))
    here, there = (id_of(tenant, "what it was") for tenant in (house.tenant, replace(house.tenant, logs=others)))
    assert here != there
    assert id_of(house.tenant, "what it was") == here
