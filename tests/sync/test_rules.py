"""The rules of the municipality at work: other controllers, withdrawals, guardians, the life of a log and its baton."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Row

from hub.operate.report import Reports
from hub.relaylog.baton import Move
from hub.relaylog.codes import BtiLevel, Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Decider, Rules
from hub.relaylog.life import LifePolicy
from hub.relaylog.sharing import ControllerAgreement, Sharing
from hub.sandbox.stories import baton_offered, shared_level_2
from hub.store.decisions import Who
from hub.store.tables import (
    HoldState,
    ProposalKind,
    ProposalState,
    TaskKind,
    conflicts,
    events,
    holds,
    packages,
    proposals,
    tasks,
)
from hub.sync.baton import CannotMove, answered, offered, standing
from hub.sync.decide import LOG, Decisions
from hub.sync.tasks import NoSuchTask, done
from tests.sync.house import SAMSPILL, TODAY, VIGILO, House

Tree = dict[str, Any]
WHO = Who("user-1", "Spurt i møtet.")
OWNER = "900001150"  # made up: who owns a private kindergarten


# --- other controllers -------------------------------------------------------------------------------------------


def _owned(house: House) -> None:
    """Let another controller answer for the kindergarten of the one log there is."""
    house.tell(shared_level_2)
    house.pull(VIGILO)
    unit = house.log_of("vl-000001").log.unit.organisation_number
    for name in (VIGILO, SAMSPILL):
        house.settle(name, unit_controllers={unit: OWNER})


def _agree(house: House, *services: Service, on: date = TODAY) -> None:
    agreement = ControllerAgreement(controller=OWNER, number="1", date=on, by="rådmann", services=frozenset(services))
    rules = Rules(Sharing(agreements=(agreement,)), ConsentPolicy())
    house.tenant = replace(house.tenant, rules=lambda _day: rules)


def test_nothing_crosses_to_or_from_another_controller_without_an_agreement(house: House) -> None:
    """A private kindergarten's log neither leaves it nor is added to from elsewhere; the rules' owner is asked."""
    _owned(house)
    assert house.sync().sent == {}
    assert house.holds() == [("samspill", "no_agreement"), ("vigilo", "no_agreement")]
    found = Reports(house.db).inbox(house.tenant.organisation_number, "hold")
    assert {item.addressed_to for item in found} == {Decider.RULE_OWNER}


def test_an_agreement_opens_for_the_services_that_it_names(house: House) -> None:
    """With the kindergarten alone named the log may be added to; with the municipality's readers it may leave too."""
    _owned(house)
    _agree(house, Service.KINDERGARTEN)
    assert house.sync().sent == {VIGILO: 1}
    assert house.holds() == [("samspill", "no_agreement")]
    _agree(house, Service.KINDERGARTEN, Service.HEALTH_STATION, Service.FAMILY)
    house.time.after(days=1)
    assert house.sync().sent == {SAMSPILL: 1}
    assert house.holds() == []


def test_a_system_may_belong_to_another_controller(house: House) -> None:
    """A whole connection that another controller answers for is sent nothing before the agreement holds."""
    house.settle(SAMSPILL, controller=OWNER)
    house.tell(shared_level_2)
    _agree(house, Service.HEALTH_STATION, Service.FAMILY, on=date(2026, 11, 22))
    assert house.sync().sent == {VIGILO: 1}
    assert house.holds() == [("samspill", "no_agreement")]
    house.time.after(days=1)
    assert house.sync().sent == {SAMSPILL: 1}


# --- a consent that ends -----------------------------------------------------------------------------------------


def _consents(house: House, **changes: object) -> None:
    """Let the kindergarten change the consents to the services behind the other system."""
    for consent in house.vigilo()["samtykke"]:
        if consent["mottakar"] in ("HELSESTASJON", "FAMILIE"):
            consent.update(changes)
    house.saved(house.vigilo())


def _tasks(house: House, state: str = "open") -> list[tuple[str, str, str]]:
    found = [row for row in house.rows(tasks) if row.state == state]
    return sorted((row.connection.rpartition("/")[2], row.reader, row.reason) for row in found)


BOTH = ("family", "health_station")


def test_a_withdrawal_asks_every_reader_that_had_the_log(house: House) -> None:
    """Those who were sent it are asked to use it no more, by the unit's leader; nothing more is sent to them."""
    house.at_rest()
    assert house.rows(tasks) == []
    _consents(house, status="TREKT", trekt="21.11.2026")
    house.sync()
    assert _tasks(house) == [("samspill", reader, "consent_withdrawn") for reader in BOTH]
    rows = house.rows(tasks)
    assert {row.addressed_to for row in rows} == {Decider.UNIT_LEADER}
    assert {row.unit_id for row in rows} == {house.samspill()["affiliation"]["id"]}
    assert "P-10001" not in house.received()


def test_a_consent_that_runs_out_asks_too(house: House) -> None:
    """The day after its last, also when the hub stood still for days, the readers are asked without any news."""
    house.at_rest()
    _consents(house, gjeldTil="23.11.2026")
    house.sync()
    assert _tasks(house) == []
    house.time.after(days=5)
    house.sync()
    assert _tasks(house) == [("samspill", reader, "consent_expired") for reader in BOTH]


def test_a_narrower_consent_asks_for_what_it_no_longer_names(house: House) -> None:
    """Where a consent still stands and opens less than was sent, the readers are asked to stop using the rest."""
    house.at_rest()
    narrowed = [{**deepcopy(each), "id": f"{each['id']}-n"} for each in house.vigilo()["samtykke"]]
    for consent in narrowed:
        consent.update({"omfang": ["HELSE"], "gjeldFra": "21.11.2026", "barnetSpurt": False})
        consent["mottakar"] = "BARNEHAGE"
    house.vigilo()["samtykke"].append(narrowed[0] | {"omfang": ["PEDAGOGISK"]})
    house.saved(house.vigilo())
    house.sync()
    assert _tasks(house) == [("vigilo", "kindergarten", "consent_opens_less")]


def test_a_reader_that_was_never_sent_anything_is_asked_nothing(house: House) -> None:
    """A withdrawal before the first sending has nobody to tell."""
    house.tell(shared_level_2)
    _consents(house, status="TREKT", trekt="20.11.2026")
    house.sync()
    assert _tasks(house) == []


def test_what_is_done_stays_done_until_the_log_is_shared_anew(house: House) -> None:
    """A task is ticked off once, with who and when; after a new consent and a new withdrawal it is asked again."""
    house.at_rest()
    _consents(house, status="TREKT", trekt="21.11.2026")
    house.sync()
    for row in house.rows(tasks):
        done(house.tenant, row.task_id, "user-1")
    house.time.after(days=1)
    house.sync()
    assert (_tasks(house), len(_tasks(house, "done"))) == ([], 2)
    assert {row.done_by for row in house.rows(tasks)} == {"user-1"}
    with pytest.raises(NoSuchTask):
        done(house.tenant, house.rows(tasks)[0].task_id, "user-1")
    told = [row.action for row in house.rows(events) if ":task:" in row.action]
    assert told == ["hub:task:set"] * 2 + ["person:task:done"] * 2
    _consented_anew(house)
    house.sync()
    assert len(_tasks(house, "gone")) == 2


def _consented_anew(house: House) -> None:
    for consent in [each for each in house.vigilo()["samtykke"] if each["mottakar"] in ("HELSESTASJON", "FAMILIE")]:
        anew = {**deepcopy(consent), "id": f"{consent['id']}-2", "status": "GITT", "trekt": None}
        house.vigilo()["samtykke"].append({**anew, "gjeldFra": "22.11.2026"})
    house.saved(house.vigilo())


def test_that_child_welfare_had_a_log_is_told_to_no_list(house: House) -> None:
    """A task at a service that is itself hidden is listed as the special rule, without service or connection."""
    house.at_rest()
    _consents(house, status="TREKT", trekt="21.11.2026")
    hidden = Rules(Sharing(hidden_services=frozenset({Service.HEALTH_STATION})), ConsentPolicy())
    house.tenant = replace(house.tenant, rules=lambda _day: hidden)
    house.sync()
    found = Reports(house.db).inbox(house.tenant.organisation_number, "task")
    assert sorted((item.connection, item.reason, item.place) for item in found) == [
        ("", "special_rule", ""), (SAMSPILL, "consent_withdrawn", "family"),
    ]  # fmt: skip


# --- guardians ---------------------------------------------------------------------------------------------------


def _stepfather(house: House, **changes: object) -> None:
    """Let the health station's system name a guardian whom the kindergarten's does not."""
    family = house.samspill()["family"]
    added = {**deepcopy(family[0]), "personId": "p-new", "name": "Tordenvær Testverge", "nationalId": ""}
    family.append({**added, **changes})
    house.saved(house.samspill())


def _guardians(house: House) -> list[str]:
    return [guardian.name for guardian in house.log_of("vl-000001").log.guardians]


def _asked(house: House) -> Row[Any]:
    (row,) = house.rows(proposals, kind=ProposalKind.GUARDIAN)
    return row


def test_a_guardian_found_in_another_system_is_a_proposal(house: House) -> None:
    """Who turns up is asked about once, is in no log, and can neither sign nor be sent anywhere until confirmed."""
    house.at_rest()
    before = _guardians(house)
    _stepfather(house)
    house.sync()
    house.sync()
    row = _asked(house)
    assert (row.state, row.connection, row.collection) == (ProposalState.OPEN, SAMSPILL, "guardians")
    assert _guardians(house) == before
    # Its signature may be needed, so that nothing more goes before somebody has said whether it is.
    assert {rule for _, rule in house.holds()} <= {"signer_missing"}


def test_a_confirmed_guardian_is_of_the_log_for_good(house: House) -> None:
    """Accepted, the guardian is in the log, also after the system is read again; nobody is asked anew."""
    house.at_rest()
    before = _guardians(house)
    _stepfather(house)
    house.sync()
    Decisions(house.tenant).accept(_asked(house).proposal_id, WHO)
    assert _guardians(house) == [*before, "Tordenvær Testverge"]
    house.samspill()["step"] = "2.9"
    house.saved(house.samspill())
    house.sync()
    assert _guardians(house) == [*before, "Tordenvær Testverge"]
    assert _asked(house).state is ProposalState.ACCEPTED


def test_a_refused_guardian_stays_out_and_stops_nothing(house: House) -> None:
    """Refused, the guardian is in no log, is not asked about again, and no consent waits for the signature."""
    house.at_rest()
    before = _guardians(house)
    _stepfather(house)
    house.sync()
    Decisions(house.tenant).refuse(_asked(house).proposal_id, WHO)
    house.samspill()["step"] = "2.9"
    house.saved(house.samspill())
    house.sync()
    assert _guardians(house) == before
    assert (_asked(house).state, house.holds()) == (ProposalState.REFUSED, [])


def test_a_proposed_guardian_who_is_barred_protects_at_once(house: House) -> None:
    """What is only proposed still takes: where one is barred nothing goes to where the family reads."""
    house.at_rest()
    _stepfather(house, barred=True)
    house.vigilo()["steg"] = "2.9"
    house.saved(house.vigilo())
    house.sync()
    assert ("samspill", "guardian_barred") in house.holds()
    assert "P-10001" not in house.received()


def test_a_release_ends_when_a_proposed_guardian_turns_out_to_be_protected(house: House) -> None:
    """What a person let go of was read with nobody but the child in mind: it is held anew."""
    house.at_rest()
    _stepfather(house)
    house.vigilo()["barn"]["adressevern"] = "STRENGT_FORTROLEG"
    house.saved(house.vigilo())
    house.sync()
    (hold,) = house.rows(holds, rule="address_protected", state=HoldState.OPEN)
    Decisions(house.tenant).release(hold.hold_id, WHO)
    house.sync()
    assert ("", "address_protected") not in house.holds()
    house.samspill()["family"][-1]["addressProtection"] = "strengt_fortrolig"
    house.saved(house.samspill())
    house.sync()
    assert ("", "address_protected") in house.holds()


def test_a_question_about_a_guardian_ends_when_no_system_names_one(house: House) -> None:
    """Taken out of the system again, there is nothing left to decide."""
    house.at_rest()
    _stepfather(house)
    house.sync()
    house.samspill()["family"].pop()
    house.saved(house.samspill())
    house.sync()
    assert _asked(house).state is ProposalState.GONE


# --- the life of a log -------------------------------------------------------------------------------------------


def _status(house: House) -> str:
    return house.log_of("vl-000001").log.status


def test_a_status_that_cannot_follow_is_a_conflict(house: House) -> None:
    """A log that is active is made a draft in one system: it stays active, visibly disputed, and the rest flows."""
    house.at_rest()
    house.vigilo()["status"] = "UTKAST"
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.saved(house.vigilo())
    house.sync()
    house.sync()
    (row,) = house.rows(conflicts, state="open")
    assert (_status(house), row.path) == ("active", "status")
    assert (house.vigilo()["status"], house.samspill()["state"]) == ("UTKAST", "aktiv")
    assert "Solskinn song på samlinga." in str(house.samspill())


@pytest.mark.parametrize(("take", "status", "theirs"), [(VIGILO, "draft", "kladd"), (LOG, "active", "aktiv")])
def test_a_person_decides_what_status_holds(house: House, take: str, status: str, theirs: str) -> None:
    """What is chosen holds in the log and goes to the system that says otherwise; the conflict does not come back."""
    house.at_rest()
    house.vigilo()["status"] = "UTKAST"
    house.saved(house.vigilo())
    house.sync()
    Decisions(house.tenant).settle(house.rows(conflicts, state="open")[0].conflict_id, take, WHO)
    house.sync()
    house.sync()
    assert (_status(house), house.rows(conflicts, state="open")) == (status, [])
    assert house.samspill()["state"] == theirs if take == LOG else True


def _close(house: House, by: str, on: str = "21.11.2026") -> None:
    closing = {"dato": on, "arsak": "MAL_NADD", "grunngjeving": "Nådd.", "avgjortAv": by, "vidareTil": ""}
    house.vigilo().update({"status": "AVSLUTTA", "avslutning": closing})
    house.saved(house.vigilo())


def test_a_closed_log_that_goes_on_is_a_new_version(house: House) -> None:
    """Opened anew it is active without its closing, which is told; what was archived stays, and another follows it."""
    house.at_rest()
    _close(house, "STAFETTHALDAR")
    assert len(house.sync().archived) == 1
    house.time.after(days=1)
    house.vigilo()["status"] = "AKTIV"
    house.saved(house.vigilo())
    house.sync()
    house.sync()
    log = house.log_of("vl-000001").log
    assert (log.status, log.closure) == ("active", None)
    assert (house.samspill()["state"], house.rows(conflicts, state="open")) == ("aktiv", [])
    assert [row.subject_id for row in house.rows(events, action="hub:log:reopened")] == [log.id]
    _close(house, "STAFETTHALDAR", "22.11.2026")
    house.sync()
    assert [row.revision for row in house.rows(packages)] == [1, 2]


def test_what_the_family_ended_no_system_opens_again(house: House) -> None:
    """A guardian ended the log: made active again in a system, it stays closed and archived as it was."""
    house.at_rest()
    _close(house, "FORESETT")
    house.sync()
    house.samspill()["state"] = "aktiv"
    house.saved(house.samspill())
    house.sync()
    assert _status(house) == "closed"
    assert house.rows(events, action="hub:log:reopened") == []


def test_a_log_below_the_level_to_start_at_is_told_to_its_leader(house: House) -> None:
    """A task at the unit, which ends when the level is raised; nothing is stopped by it."""
    house.at_rest()
    strict = Rules(Sharing(), ConsentPolicy(), LifePolicy(starts_at=BtiLevel.SEVERAL_SERVICES))
    house.tenant = replace(house.tenant, rules=lambda _day: strict)
    house.time.after(days=1)
    house.sync()
    assert [(row.kind, row.reason) for row in house.rows(tasks)] == [(TaskKind.LIFE, "level_too_low")]
    assert house.holds() == []
    house.vigilo()["niva"] = 3
    house.saved(house.vigilo())
    house.sync()
    assert _tasks(house) == []


# --- the baton ---------------------------------------------------------------------------------------------------


def _offered_log(house: House) -> str:
    """Bring a log to where its baton is offered to a school; give its id."""
    house.tell(baton_offered)
    given = {**deepcopy(house.vigilo()["samtykke"][0]), "id": "vs-9", "mottakar": "BARNEHAGE"}
    house.vigilo()["samtykke"].append(given)
    house.sync()
    house.sync()
    house.world.received.clear()
    house.time.after(hours=1)
    return house.log_of("vl-000001").log_id


def test_an_offer_moves_nothing(house: House) -> None:
    """While nobody has answered the old holder holds, in the log and in the system, and nothing is wrong."""
    log_id = _offered_log(house)
    log, found = standing(house.tenant, log_id)
    assert (found.holder, len(found.open_offers), found.troubles) == (log.holder, 1, ())
    assert found.holder is not None
    assert found.holder.service is Service.KINDERGARTEN


def test_an_answer_written_in_the_hub_flows_to_the_system(house: House) -> None:
    """Accepted by hand, the handover and the new holder reach the system that made the offer, and stay so."""
    log_id = _offered_log(house)
    answered(house.tenant, log_id, Move.ACCEPT, WHO)
    house.sync()
    house.sync()
    log, found = standing(house.tenant, log_id)
    assert (found.open_offers, found.troubles, log.holder) == ((), (), found.holder)
    assert found.holder is not None
    assert found.holder.service is Service.SCHOOL
    record = house.vigilo()
    (handover,) = record["stafettpinne"]
    assert (handover["svar"], handover["svarDato"]) == ("AKSEPTERT", "21.11.2026")
    assert record["stafetthaldar"]["namn"] == handover["til"]["namn"]
    assert house.received() == ["vl-000001"]
    assert house.rows(conflicts) == []
    assert [row.actor for row in house.rows(events, action="person:baton:answered")] == ["user-1"]


def test_a_declined_offer_leaves_the_holder(house: House) -> None:
    """The answer is written into the system, and who held the baton holds it."""
    log_id = _offered_log(house)
    holder = standing(house.tenant, log_id)[1].holder
    answered(house.tenant, log_id, Move.DECLINE, WHO)
    house.sync()
    _, found = standing(house.tenant, log_id)
    assert (found.holder, found.open_offers) == (holder, ())
    assert house.vigilo()["stafettpinne"][0]["svar"] == "AVSLATT"
    with pytest.raises(CannotMove):
        answered(house.tenant, log_id, Move.ACCEPT, WHO)


def test_the_baton_is_offered_by_hand(house: House) -> None:
    """An offer to a party is a new handover in every system; a second one beside it is refused."""
    house.at_rest()
    log = house.log_of("vl-000001").log
    party = next(each for each in log.parties if log.holder and each.name != log.holder.name)
    offered(house.tenant, log.id, party.id, WHO)
    house.sync()
    house.sync()
    assert [each["svar"] for each in house.vigilo()["stafettpinne"]] == ["TILBODE"]
    assert [each["answer"] for each in house.samspill()["handovers"]] == ["tilbudt"]
    assert house.log_of("vl-000001").log.holder == log.holder
    with pytest.raises(CannotMove):
        offered(house.tenant, log.id, party.id, WHO)


def test_a_log_that_nobody_holds_is_told_to_its_leader(house: House) -> None:
    """Without a holder while it is active the unit's leader has a task, until somebody has accepted the baton."""
    house.tell(baton_offered)
    held = house.vigilo()["stafetthaldar"]
    house.vigilo()["stafetthaldar"] = None
    house.sync()
    assert [(row.kind, row.reason, row.addressed_to) for row in house.rows(tasks)] == [
        (TaskKind.BATON, "no_holder", Decider.UNIT_LEADER)
    ]
    with pytest.raises(NoSuchTask):
        done(house.tenant, house.rows(tasks)[0].task_id, "user-1")
    house.vigilo()["stafetthaldar"] = held
    house.saved(house.vigilo())
    house.sync()
    assert _tasks(house) == []


def test_two_who_accepted_are_told_to_the_leader(house: House) -> None:
    """Two handovers accepted on one day leave the holder as agreed, and the unit's leader is asked."""
    house.at_rest()
    before = house.log_of("vl-000001").log.holder
    giver = {"namn": before.name, "teneste": "BARNEHAGE", "eining": before.unit} if before else {}
    for number, name in enumerate(("Tordenvær Testlærar", "Snøstorm Testlærar")):
        taker = {"namn": name, "teneste": "BARNEHAGE", "eining": giver["eining"]}
        house.vigilo()["stafettpinne"].append(
            {"id": f"sp-{number}", "fra": giver, "til": taker, "tilbode": "20.11.2026", "svar": "AKSEPTERT",
             "svarDato": "21.11.2026", "grunn": "", "barnetsOnske": ""}
        )  # fmt: skip
    house.saved(house.vigilo())
    house.sync()
    assert _tasks(house) == [("", "", "two_holders")]
    assert house.log_of("vl-000001").log.holder == before
