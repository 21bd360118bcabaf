"""Route: what a reader may see is written down as a delivery, and everything that is stopped is a hold."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from hub.relaylog.gates import Decider
from hub.sandbox.stories import (
    ordinary_health_station,
    ordinary_kindergarten,
    protected_confidential,
    protected_strict,
    reader_without_consent,
    shared_level_2,
    violence,
)
from hub.store.tables import HoldState, deliveries, holds, logs
from hub.sync.route import Router
from tests.sync.house import SAMSPILL, VIGILO, House

Tree = dict[str, Any]


def _routed(house: House) -> int:
    """Pull both systems and route."""
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    return house.cycle.route()


def _waiting(house: House) -> list[str]:
    return sorted(row.connection.rpartition("/")[2] for row in house.rows(deliveries, state="ready"))


def _give(house: House, service: str) -> None:
    """Let the parents consent to a service, in the kindergarten's system."""
    log = house.vigilo()
    given = {**deepcopy(log["samtykke"][0]), "mottakar": service}
    log["samtykke"].append({**given, "id": f"vs-{len(log['samtykke']) + 1}"})
    house.saved(log)


def _withdraw(house: House) -> None:
    for consent in house.vigilo()["samtykke"]:
        consent.update({"status": "TREKT", "trekt": "20.11.2026"})
    house.saved(house.vigilo())


# --- what goes ---------------------------------------------------------------------------------------------------


def test_each_system_is_sent_what_it_lacks(house: House) -> None:
    """A shared log makes one delivery to each system, sealed, with the versions that made it."""
    house.tell(shared_level_2)
    assert _routed(house) == 2
    assert _waiting(house) == ["samspill", "vigilo"]
    for row in house.rows(deliveries):
        assert row.idempotency_key == row.delivery_id
        assert row.mapping_version == house.tenant.connections[row.connection].mapping.version
        assert row.sealed_payload
    assert house.holds() == []


def test_a_log_that_stands_in_one_system_is_not_sent_back_to_it(house: House) -> None:
    """There is nothing to tell a system about its own log."""
    house.tell(ordinary_kindergarten, ordinary_health_station)
    assert _routed(house) == 0
    assert house.rows(deliveries) == []


def test_routing_again_makes_nothing_more(house: House) -> None:
    """The same view to the same record waits once, however often it is routed."""
    house.tell(shared_level_2)
    _routed(house)
    assert house.cycle.route() == 0
    assert Router(house.tenant).route([house.log_of("vl-000001").log_id]) == 0
    assert _waiting(house) == ["samspill", "vigilo"]


def test_a_newer_view_takes_the_place_of_an_unsent_one(house: House) -> None:
    """An edit before anything left supersedes both deliveries, whose payloads are wiped."""
    house.tell(shared_level_2)
    _routed(house)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.saved(house.vigilo())
    assert _routed(house) == 2
    assert sorted(house.states(SAMSPILL)) == sorted(house.states(VIGILO)) == ["ready", "superseded"]
    assert [row.sealed_payload for row in house.rows(deliveries, state="superseded")] == [None, None]


def test_a_connection_that_only_reads_is_sent_nothing(house: House) -> None:
    """With `deliver` off a system is read and never written, and nothing is held for it."""
    house.settle(VIGILO, deliver=False)
    house.tell(shared_level_2)
    assert _routed(house) == 1
    assert _waiting(house) == ["samspill"]
    assert house.holds() == []


# --- first contact -----------------------------------------------------------------------------------------------


def test_the_first_sending_is_held_where_the_municipality_says_so(house: House) -> None:
    """First contact `hold` stops before the first write to each record, and lists it for the operator."""
    house.settle(VIGILO, first_contact="hold")
    house.settle(SAMSPILL, first_contact="hold")
    house.tell(shared_level_2)
    assert house.sync().sent == {}
    assert house.received() == []
    assert house.holds() == [("samspill", "first_contact"), ("vigilo", "first_contact")]
    assert {row.addressed_to for row in house.rows(holds)} == {Decider.OPERATOR}


def test_a_released_first_sending_goes_and_those_after_it_too(house: House) -> None:
    """When a person has looked, the log flows; later changes are not held again."""
    house.settle(VIGILO, first_contact="hold")
    house.settle(SAMSPILL, first_contact="hold")
    house.tell(shared_level_2)
    house.sync()
    house.release("first_contact")
    Router(house.tenant).route([house.log_of("vl-000001").log_id])
    assert set(house.deliver().sent) == {VIGILO, SAMSPILL}
    house.time.after(minutes=1)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.saved(house.vigilo())
    assert house.sync().sent == {SAMSPILL: 1}
    assert house.holds() == []


def test_first_contact_without_anything_to_write_is_no_hold(house: House) -> None:
    """A log that is whole where it stands does not wait for anybody."""
    house.settle(VIGILO, first_contact="hold")
    house.tell(ordinary_kindergarten)
    house.pull(VIGILO)
    assert house.cycle.route() == 0
    assert house.holds() == []


# --- consent -----------------------------------------------------------------------------------------------------


def test_without_a_consent_nothing_goes_and_with_it_all_does(house: House) -> None:
    """The reader without consent is held; when the parents consent to both who read there, the log flows."""
    house.tell(reader_without_consent)
    house.sync()
    assert ("samspill", "no_consent") in house.holds()
    assert house.received("samspill") == []
    house.time.after(hours=1)
    _give(house, "HELSESTASJON")
    house.sync()
    assert house.received("samspill") == []
    assert ("samspill", "no_consent") in house.holds()
    house.time.after(hours=1)
    _give(house, "FAMILIE")
    house.sync()
    assert house.received("samspill") == ["P-10001"]
    assert house.holds() == []
    assert {row.state for row in house.rows(holds)} == {HoldState.GONE}


def test_a_withdrawn_consent_stops_what_has_not_left(house: House) -> None:
    """What was written down and not sent is superseded, a hold says why, and nothing leaves any more."""
    house.tell(shared_level_2)
    _routed(house)
    _withdraw(house)
    assert _routed(house) == 0
    assert house.deliver().sent == {}
    assert house.received() == []
    assert {rule for _, rule in house.holds()} == {"consent_withdrawn"}
    assert set(house.states()) == {"superseded"}


def test_a_withdrawal_outlives_the_other_systems_ignorance(house: House) -> None:
    """The other system still says that the consent was given; that loosens nothing."""
    house.tell(shared_level_2)
    house.sync()
    sent = len(house.received())
    house.time.after(hours=1)
    _withdraw(house)
    house.samspill()["notes"][0]["text"] = "Hørselen er bedre."
    house.saved(house.samspill())
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.sync()
    house.samspill()["step"] = "2.9"
    house.saved(house.samspill())
    house.sync()
    assert len(house.received()) == sent
    assert "consent_withdrawn" in {rule for _, rule in house.holds()}


def test_a_consent_without_a_record_at_the_receiver_waits_for_a_person(house: House) -> None:
    """To make a log in somebody else's system is nothing that the hub does by itself."""
    house.tell(ordinary_kindergarten)
    _give(house, "HELSESTASJON")
    _routed(house)
    assert house.holds() == [("samspill", "no_record_at_receiver")]
    assert house.rows(deliveries) == []


def test_no_record_is_missed_in_a_system_that_was_never_read(house: House) -> None:
    """Before a system's first whole run nobody knows what it lacks."""
    house.tell(ordinary_kindergarten)
    _give(house, "HELSESTASJON")
    house.pull(VIGILO)
    house.cycle.route()
    assert house.holds() == []


# --- special rules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "rule"),
    [
        (violence, "violence"),
        (protected_confidential, "free_text_unread"),
        (protected_strict, "address_protected"),
    ],
)
def test_what_a_special_rule_keeps_goes_nowhere(house: House, story: Any, rule: str) -> None:
    """One hold on the whole log, whose reason is itself told to its decider only; nothing is written down to send."""
    house.tell(story)
    assert _routed(house) == 0
    (hold,) = house.rows(holds, state=HoldState.OPEN)
    assert (hold.connection, hold.rule, hold.revealing) == (None, rule, True)
    assert hold.addressed_to == Decider.RULE_OWNER
    assert house.sync().sent == {}


def test_a_mark_set_later_stops_what_waits(house: House) -> None:
    """A log marked as concerning violence after it was routed is not sent."""
    house.tell(shared_level_2)
    _routed(house)
    house.vigilo()["vald"] = True
    house.saved(house.vigilo())
    _routed(house)
    assert house.deliver().sent == {}
    assert house.holds() == [("", "violence")]


def test_a_released_hold_opens_no_gate(house: House) -> None:
    """Releasing a special rule's hold sends nothing by itself: the mark must be gone."""
    house.tell(violence)
    _routed(house)
    house.release("violence")
    Router(house.tenant).route([house.log_of("vl-000001").log_id])
    assert house.rows(deliveries) == []


def test_each_version_is_routed_once(house: House) -> None:
    """What was decided is not decided again before the log changes."""
    house.tell(shared_level_2, ordinary_kindergarten)
    _routed(house)
    assert all(row.routed_version == row.version for row in house.rows(logs))
    with house.db.read() as tx:
        assert house.tenant.logs.changed_since_routed(tx) == []
