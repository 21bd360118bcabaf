"""Decide: what a person settles, releases, accepts or refuses is followed, and asked anew when things change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Row, update

from hub.connectors.base import Connector, Page
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import RelayLog
from hub.sandbox.stories import (
    barred_guardian,
    kindergarten_goal_reached,
    ordinary_kindergarten,
    reader_without_consent,
    shared_level_2,
    violence,
)
from hub.store.decisions import Who
from hub.store.inbox import NewHold
from hub.store.leases import LEASE, RUNS, claim
from hub.store.tables import (
    ConflictState,
    HoldState,
    ProposalKind,
    ProposalState,
    conflicts,
    decisions,
    deliveries,
    element_keys,
    events,
    holds,
    log_keys,
    logs,
    proposals,
    quarantine,
    records,
    runs,
)
from hub.sync.decide import LOG, CannotDecide, Decisions
from hub.sync.pull import PullResult
from hub.sync.replay import WHY, ask_replay, replay_delivery, replay_run
from tests.sync.house import SAMSPILL, VIGILO, House

Tree = dict[str, Any]
WHO = Who("user-1", "Både heim og barnehage er spurde.")
OURS, THEIRS, THIRD = "Solskinn ler meir.", "Solskinn ler mer enn før.", "Solskinn ler heile dagen."


def _write(house: House, ours: str = "", theirs: str = "") -> None:
    """Let the concern that both systems hold be rewritten in one or both of them."""
    house.time.after(hours=1)
    if ours:
        house.vigilo()["uro"][0]["skildring"] = ours
        house.saved(house.vigilo())
    if theirs:
        house.samspill()["concerns"][0]["text"] = theirs
        house.saved(house.samspill())


def _concern(house: House) -> tuple[str, str]:
    """Give the concern as both systems hold it."""
    return house.vigilo()["uro"][0]["skildring"], house.samspill()["concerns"][0]["text"]


def _disputed(house: House) -> Row[Any]:
    """Give the one conflict that is open, after both rewrote the concern."""
    house.at_rest()
    _write(house, OURS, THEIRS)
    house.sync()
    (row,) = house.rows(conflicts, state="open")
    house.world.received.clear()
    return row


def _hold(house: House, rule: str) -> Row[Any]:
    (row,) = house.rows(holds, rule=rule, state=HoldState.OPEN)
    return row


def _routed(house: House) -> int:
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    return house.cycle.route()


def _decide(house: House) -> Decisions:
    return Decisions(house.tenant)


# --- settling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("take", "text", "told"),
    [(VIGILO, OURS, ["P-10001"]), (SAMSPILL, THEIRS, ["vl-000001"])],
)
def test_what_is_settled_reaches_the_other_system_once(house: House, take: str, text: str, told: list[str]) -> None:
    """The chosen value is the log's, the conflict is gone, the other system is sent it once, and all comes to rest."""
    row = _disputed(house)
    _decide(house).settle(row.conflict_id, take, WHO)
    assert house.log_of("vl-000001").log.concerns[0].text == text
    assert house.rows(conflicts, state="open") == []
    house.deliver()
    assert house.received() == told
    house.sync()
    house.sync()
    assert (house.received(), _concern(house)) == (told, (text, text))
    assert house.rows(conflicts, state="open") == []


def test_what_the_log_says_can_be_chosen_over_both(house: House) -> None:
    """Where neither edit shall hold, both systems are sent what was agreed before them."""
    row = _disputed(house)
    before = house.log_of("vl-000001").log.concerns[0].text
    _decide(house).settle(row.conflict_id, LOG, WHO)
    house.sync()
    house.sync()
    assert sorted(house.received()) == ["P-10001", "vl-000001"]
    assert _concern(house) == (before, before)


def test_a_settlement_survives_pulls_and_ends_with_a_new_value(house: House) -> None:
    """Before it was sent, the same values again change nothing; a third value is a new conflict with its own answer."""
    row = _disputed(house)
    _decide(house).settle(row.conflict_id, VIGILO, WHO)
    house.samspill()["step"] = "2.9"
    house.saved(house.samspill())
    _routed(house)
    assert house.rows(conflicts, state="open") == []
    _write(house, theirs=THIRD)
    _routed(house)
    (again,) = house.rows(conflicts, state="open")
    assert again.conflict_id == row.conflict_id
    _decide(house).settle(again.conflict_id, SAMSPILL, WHO)
    house.sync()
    assert _concern(house) == (THIRD, THIRD)
    assert len(house.rows(decisions, in_force=True)) == 1


def test_after_a_settlement_either_system_may_write_on(house: House) -> None:
    """A decision binds the two values it was made over; what anybody writes afterwards flows as always."""
    row = _disputed(house)
    _decide(house).settle(row.conflict_id, VIGILO, WHO)
    house.sync()
    _write(house, theirs=THIRD)
    house.sync()
    assert _concern(house) == (THIRD, THIRD)
    assert house.rows(conflicts, state="open") == []


def test_who_settled_stands_in_the_event_and_why_stands_sealed(house: House) -> None:
    """The event has ids and codes only; the reason in words is nowhere in the database in clear."""
    row = _disputed(house)
    _decide(house).settle(row.conflict_id, VIGILO, WHO)
    (event,) = house.rows(events, action="person:conflict:settled")
    assert (event.actor, event.subject_id) == ("user-1", row.conflict_id)
    assert event.data == {"log": row.log_id, "take": VIGILO}
    (kept,) = house.rows(decisions)
    assert (kept.choice, kept.decided_by, kept.in_force) == ("settled", "user-1", True)
    held = [*house.rows(events), *house.rows(decisions), *house.rows(conflicts)]
    assert not any(text in str(row) for row in held for text in (WHO.why, OURS, THEIRS))


def test_opening_the_values_leaves_who_and_what_for(house: House) -> None:
    """Whoever is to choose may see the values of that one place, and that is written down."""
    row = _disputed(house)
    seen = _decide(house).opened(row.conflict_id, Who("user-2", "Skal avgjere."))
    assert (seen[VIGILO], seen[SAMSPILL]) == (OURS, THEIRS)
    assert set(seen) == {VIGILO, SAMSPILL, LOG}
    (event,) = house.rows(events, action="person:log:opened")
    assert (event.actor, event.data) == ("user-2", {"conflict": row.conflict_id})
    assert [kept.choice for kept in house.rows(decisions)] == ["opened"]


def test_what_cannot_be_settled_is_told_with_the_remedy(house: House) -> None:
    """A system that says nothing there, and a conflict that is settled already."""
    row = _disputed(house)
    with pytest.raises(CannotDecide, match=r"Take one of .*samspill.*log"):
        _decide(house).settle(row.conflict_id, "900001002/profil", WHO)
    _decide(house).settle(row.conflict_id, VIGILO, WHO)
    with pytest.raises(CannotDecide, match="No open conflict"):
        _decide(house).settle(row.conflict_id, VIGILO, WHO)
    assert len(house.rows(decisions)) == 1


# --- releasing ---------------------------------------------------------------------------------------------------


def test_the_first_sending_goes_when_it_is_released(house: House) -> None:
    """Released, it is written down at once and sent; the hold is not set again, and ends with the sending."""
    house.settle(SAMSPILL, first_contact="hold")
    house.tell(shared_level_2)
    house.sync()
    assert house.received("samspill") == []
    hold = _hold(house, "first_contact")
    _decide(house).release(hold.hold_id, WHO)
    assert house.states(SAMSPILL) == ["ready"]
    house.sync()
    assert house.received("samspill") == ["P-10001"]
    house.time.after(days=1)
    house.sync()
    assert [row.state for row in house.rows(holds, rule="first_contact")] == [HoldState.GONE]


def test_a_release_ends_when_something_else_stops_the_sending(house: House) -> None:
    """A consent withdrawn before the released sending left: nothing goes, and the release is of the past."""
    house.settle(SAMSPILL, first_contact="hold")
    house.tell(shared_level_2)
    _routed(house)
    _decide(house).release(_hold(house, "first_contact").hold_id, WHO)
    for consent in house.vigilo()["samtykke"]:
        consent.update({"status": "TREKT", "trekt": "20.11.2026"})
    house.saved(house.vigilo())
    _routed(house)
    assert house.states(SAMSPILL) == ["superseded"]
    assert [row.state for row in house.rows(holds, rule="first_contact")] == [HoldState.GONE]
    assert house.rows(decisions, in_force=True) == []


@pytest.mark.parametrize(
    ("then", "states"),
    [
        (["same"], ["released"]),
        (["other"], ["gone", "open"]),
        ([None, "same"], ["gone", "open"]),
        ([None], ["gone"]),
    ],
)
def test_a_release_is_for_one_situation(house: House, then: list[str | None], states: list[str]) -> None:
    """While the same is stopped it stays released; something else, or the same once more, is held anew."""
    house.tell(ordinary_kindergarten)
    house.sync()
    log_id, inbox, now = house.log_of("vl-000001").log_id, house.tenant.inbox, house.time.now()

    def route(situation: str | None) -> None:
        hold = NewHold("first_contact", "first_contact", "operator", "", situation=situation or "")
        with house.db.write() as tx:
            inbox.set_holds(tx, log_id, "900001002/tenkt", [hold] if situation else [], now)

    route("same")
    _decide(house).release(_hold(house, "first_contact").hold_id, WHO)
    for situation in then:
        route(situation)
    assert [str(row.state) for row in house.rows(holds, connection="900001002/tenkt")] == states


@pytest.mark.parametrize(
    ("story", "rule", "told"),
    [
        (violence, "violence", "knows what that is"),
        (barred_guardian, "guardian_barred", "knows what that is"),
        (reader_without_consent, "no_consent", "a valid consent names"),
    ],
)
def test_what_nobody_may_release_says_what_ends_it(house: House, story: Any, rule: str, told: str) -> None:
    """The mark, the bar or the missing consent must change; a reason that reveals is not told, and nothing is kept."""
    house.tell(story)
    _routed(house)
    hold = next(row for row in house.rows(holds, rule=rule, state=HoldState.OPEN))
    with pytest.raises(CannotDecide, match=told) as refused:
        _decide(house).release(hold.hold_id, WHO)
    assert not hold.revealing or rule not in str(refused.value)
    assert house.rows(decisions) == []
    assert house.rows(holds, hold_id=hold.hold_id)[0].state is HoldState.OPEN


def _protected(house: House) -> Row[Any]:
    """A shared log, at rest, in which somebody is protected since."""
    house.at_rest()
    house.vigilo()["barn"]["adressevern"] = "STRENGT_FORTROLEG"
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.saved(house.vigilo())
    house.sync()
    assert house.received() == []
    return _hold(house, "address_protected")


def test_a_protected_log_goes_as_it_stood_when_it_was_released(house: House) -> None:
    """The rule's owner lets this content go; the next change is held anew."""
    hold = _protected(house)
    _decide(house).release(hold.hold_id, WHO)
    house.sync()
    assert house.received("samspill") == ["P-10001"]
    house.sync()
    assert house.rows(holds, rule="address_protected", state=HoldState.OPEN) == []
    house.time.after(hours=1)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song heile dagen."
    house.saved(house.vigilo())
    house.sync()
    assert house.received("samspill") == ["P-10001"]
    assert _hold(house, "address_protected").hold_id != hold.hold_id
    assert house.rows(holds, hold_id=hold.hold_id)[0].state is HoldState.GONE


def test_a_released_log_still_obeys_every_other_rule(house: House) -> None:
    """A release is of one rule: with the mark of violence on it nothing goes."""
    hold = _protected(house)
    _decide(house).release(hold.hold_id, WHO)
    house.vigilo()["vald"] = True
    house.saved(house.vigilo())
    house.sync()
    assert house.received() == []
    assert {rule for _, rule in house.holds()} == {"violence", "address_protected"}


def test_a_log_to_be_made_by_hand_is_listed_no_more(house: House) -> None:
    """Whoever asked for the log to be made in the receiver's system has done what the hold waited for."""
    house.tell(ordinary_kindergarten)
    consents = house.vigilo()["samtykke"]
    consents.append({**deepcopy(consents[0]), "mottakar": "HELSESTASJON", "id": "vs-9"})
    house.saved(house.vigilo())
    _routed(house)
    _decide(house).release(_hold(house, "no_record_at_receiver").hold_id, WHO)
    house.time.after(days=1)
    house.sync()
    assert house.holds() == []


def test_the_archivist_lets_a_closing_go(house: House) -> None:
    """A log marked as concerning violence waits for the archivist; archived, it still goes to no system."""
    house.tell(kindergarten_goal_reached)
    house.vigilo()["vald"] = True
    house.sync()
    assert house.archive() == []
    _decide(house).release(_hold(house, "archive_violence").hold_id, WHO)
    assert len(house.archive()) == 1
    assert house.received() == []


# --- two logs of one child ---------------------------------------------------------------------------------------


def _apart(house: House) -> Row[Any]:
    """One child in two systems of which one does not vouch for its national ids: two logs and a question."""
    house.settle(SAMSPILL, verified_ids=False)
    house.tell(shared_level_2)
    house.sync()
    (row,) = house.rows(proposals, kind=ProposalKind.MATCH, state=ProposalState.OPEN)
    return row


def test_an_accepted_match_makes_one_log_of_two(house: House) -> None:
    """The records stand in one log, what both held stands once, each system is sent the rest, and all comes to rest."""
    row = _apart(house)
    _decide(house).accept(row.proposal_id, WHO)
    assert {each.log_id for each in house.rows(records)} == {house.log_of("vl-000001").log_id}
    assert row.log_id not in {each.log_id for each in house.rows(element_keys)}
    concerns = house.log_of("vl-000001").log.concerns
    assert len(concerns) == len({one.text for one in concerns})
    house.sync()
    assert sorted(set(house.received())) == ["P-10001", "vl-000001"]
    house.sync()
    received = len(house.received())
    house.time.after(days=1)
    house.sync()
    assert len(house.received()) == received
    assert house.rows(proposals, state=ProposalState.OPEN) == []


def test_the_emptied_log_is_closed_as_joined(house: House) -> None:
    """It keeps nothing of the child, and its story ends with where its records went."""
    row = _apart(house)
    _decide(house).accept(row.proposal_id, WHO)
    (emptied,) = house.rows(logs, log_id=row.log_id)
    assert (emptied.sealed_body, emptied.subject_hash, emptied.counts) == (None, None, {})
    (event,) = house.rows(events, action="hub:log:joined")
    assert (event.subject_id, event.data) == (row.log_id, {"into": house.log_of("vl-000001").log_id})


def test_protection_in_either_log_protects_the_joined_one(house: House) -> None:
    """What one of the two logs remembers is not lost with it, though no system says it any more."""
    row = _apart(house)
    house.samspill()["concernsViolence"] = True
    house.saved(house.samspill())
    house.sync()
    house.samspill()["concernsViolence"] = False
    house.saved(house.samspill())
    house.sync()
    _decide(house).accept(row.proposal_id, WHO)
    assert house.log_of("vl-000001").log.violence
    house.sync()
    assert house.received() == []


def test_a_text_that_was_kept_closer_in_either_log_stays_so_in_the_joined_one(house: House) -> None:
    """Its writer works in none of the two systems: nobody there loosens it, and a person is asked of it in the end."""
    row = _apart(house)
    note = {**deepcopy(house.samspill()["notes"][0]), "noteId": "N-new", "text": "Vindstille notat.", "part": "egen"}
    note["writtenBy"]["service"] = "ppt"
    house.samspill()["notes"].append(note)
    house.saved(house.samspill())
    assert house.pull(SAMSPILL).error == ""
    note["part"] = "pedagogisk"
    house.saved(house.samspill())
    assert house.pull(SAMSPILL).error == ""
    _decide(house).accept(row.proposal_id, WHO)
    texts = {one.text: one.part for one in house.log_of("vl-000001").log.notes}
    assert texts[note["text"]] is Part.OWN
    assert [one.path for one in house.rows(conflicts, state=ConflictState.OPEN)] == ["notes[].part"]
    house.sync()
    assert note["text"] not in json.dumps(house.vigilo())


def test_a_refused_match_is_remembered(house: House) -> None:
    """The logs stay apart, and nobody is asked again."""
    row = _apart(house)
    _decide(house).refuse(row.proposal_id, WHO)
    house.time.after(days=1)
    house.sync()
    assert len({each.log_id for each in house.rows(records)}) == 2
    assert [each.state for each in house.rows(proposals)] == [ProposalState.REFUSED]


def test_two_records_of_one_system_are_not_joined(house: House) -> None:
    """A log has one record in each system; which of two goes on is decided there."""
    house.tell(shared_level_2)
    house.world.vigilo["vl-000002"] = {**deepcopy(house.vigilo()), "id": "vl-000002"}
    house.pull(VIGILO)
    (row,) = house.rows(proposals)
    with pytest.raises(CannotDecide, match="Both logs have a record in 900001002/vigilo"):
        _decide(house).accept(row.proposal_id, WHO)
    assert [each.state for each in house.rows(proposals)] == [ProposalState.OPEN]


# --- deletions ---------------------------------------------------------------------------------------------------


def _note_gone(house: House) -> Row[Any]:
    """A shared note that was deleted in the system that wrote it, and the question about it."""
    house.at_rest()
    house.vigilo()["notat"].pop(0)
    house.saved(house.vigilo())
    house.sync()
    (row,) = house.rows(proposals, kind=ProposalKind.DELETION, state=ProposalState.OPEN)
    assert (row.collection, row.connection) == ("notes", VIGILO)
    return row


def _shared_note(house: House) -> Tree:
    """Give what Samspill holds of the note from the kindergarten."""
    return next(note for note in house.samspill()["notes"] if note["id"] not in ("N1", "N2") and note.get("date"))


def test_an_accepted_deletion_takes_the_element_out_everywhere(house: House) -> None:
    """It is out of the log, what the other system holds of it is emptied once, and nobody is asked again."""
    row = _note_gone(house)
    text = next(one.text for one in house.log_of("vl-000001").log.notes if one.id == row.element_id)
    _decide(house).accept(row.proposal_id, WHO)
    assert row.element_id not in {one.id for one in house.log_of("vl-000001").log.notes}
    house.sync()
    assert house.received() == ["P-10001"]
    assert text not in str(house.samspill())
    house.time.after(days=1)
    house.sync()
    house.sync()
    assert house.received() == ["P-10001"]
    assert row.element_id not in {one.id for one in house.log_of("vl-000001").log.notes}
    assert house.rows(proposals, state=ProposalState.OPEN) == []


def test_a_removed_element_returns_with_what_is_written_anew(house: House) -> None:
    """Somebody who goes on writing on it is heard: it stands in the log again, and a person is asked again."""
    row = _note_gone(house)
    _decide(house).accept(row.proposal_id, WHO)
    with house.db.read() as tx:
        keys = house.tenant.logs.load(tx, row.log_id).keys_of(SAMSPILL)
    key = next(key for (collection, key), element in keys.items() if element == row.element_id)
    note = next(each for each in house.samspill()["notes"] if key in each.values())
    note["text"] = THIRD
    house.saved(house.samspill())
    house.sync()
    assert THIRD in {one.text for one in house.log_of("vl-000001").log.notes}
    (again,) = house.rows(proposals, proposal_id=row.proposal_id)
    assert again.state is ProposalState.OPEN


def test_a_refused_deletion_is_written_back(house: House) -> None:
    """The element is made again where it was deleted, and is still one element; deleted again it is asked about."""
    row = _note_gone(house)
    before = len(house.vigilo()["notat"])
    _decide(house).refuse(row.proposal_id, WHO)
    house.sync()
    assert house.received() == ["vl-000001"]
    assert len(house.vigilo()["notat"]) == before + 1
    house.sync()
    assert len([one for one in house.log_of("vl-000001").log.notes if one.id == row.element_id]) == 1
    assert house.rows(proposals, state=ProposalState.OPEN) == []
    house.time.after(hours=1)
    house.vigilo()["notat"].pop()
    house.saved(house.vigilo())
    house.sync()
    assert [each.state for each in house.rows(proposals)] == [ProposalState.OPEN]


def test_a_deletion_that_was_undone_is_no_question(house: House) -> None:
    """When the element is in its system again, nobody needs to answer."""
    house.at_rest()
    note = house.vigilo()["notat"].pop(0)
    house.saved(house.vigilo())
    house.sync()
    house.vigilo()["notat"].insert(0, note)
    house.saved(house.vigilo())
    house.sync()
    assert [row.state for row in house.rows(proposals)] == [ProposalState.GONE]
    assert house.received() == []


def test_a_record_that_is_listed_again_is_no_question(house: House) -> None:
    """A record that a complete listing has again was not deleted."""
    house.tell(ordinary_kindergarten)
    house.sync()
    log = house.world.vigilo.pop("vl-000001")
    house.sync()
    house.world.vigilo["vl-000001"] = log
    house.sync()
    assert [row.state for row in house.rows(proposals)] == [ProposalState.GONE]


def test_an_accepted_deletion_of_the_last_record_leaves_nothing(house: House) -> None:
    """A log whose only record is deleted, and meant to be, is emptied."""
    house.tell(ordinary_kindergarten)
    house.sync()
    house.world.vigilo.pop("vl-000001")
    house.sync()
    (row,) = house.rows(proposals, kind=ProposalKind.DELETION)
    assert row.foreign_id == "vl-000001"
    _decide(house).accept(row.proposal_id, WHO)
    assert house.rows(records) == []
    assert house.rows(logs)[0].sealed_body is None
    house.time.after(days=1)
    house.sync()


def test_an_accepted_deletion_of_a_record_takes_its_own_elements_along(house: House) -> None:
    """What the lost system's services wrote is emptied at the other; what the other's services wrote stays."""
    house.at_rest()
    house.world.vigilo.pop("vl-000001")
    house.sync()
    (row,) = house.rows(proposals, kind=ProposalKind.DELETION)
    _decide(house).accept(row.proposal_id, WHO)
    house.sync()
    log = house.log_of("P-10001").log
    assert log.measures
    assert not {one.writer for _, one in log.elements()} & house.tenant.connections[VIGILO].services
    assert Service.HEALTH_STATION in {one.writer for one in log.measures}


# --- replaying ---------------------------------------------------------------------------------------------------


def _refused(house: House, number: int = 2) -> list[str]:
    """Let records go to quarantine by an unreadable day each, and give their ids there."""
    house.tell_many(ordinary_kindergarten, number)
    for log in house.world.vigilo.values():
        log["oppretta"] = "en dag i mai"
    house.pull(VIGILO)
    return [row.quarantine_id for row in house.rows(quarantine)]


def _mend(house: House, number: int) -> None:
    """Make the kept record readable, as a mended mapping would make it."""
    house.settle(VIGILO, mapping=_Lenient(house.tenant.connections[VIGILO].mapping, number))


class _Lenient:
    """A mapping that was mended so that it reads the day that it refused before, of so many records."""

    def __init__(self, mapping: Any, number: int) -> None:
        self._mapping, self._left = mapping, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mapping, name)

    def read(self, tree: Tree) -> RelayLog:
        """Read."""
        if tree.get("oppretta") == "en dag i mai" and self._left > 0:
            self._left -= 1
            tree = {**tree, "oppretta": "01.05.2026"}
        log: RelayLog = self._mapping.read(tree)
        return log


def _work(house: House, run_id: str) -> PullResult:
    with house.db.write() as tx:
        lease = claim(tx, RUNS, run_id, "worker-1", house.time.now(), house.time.now() + LEASE)
    assert lease
    return replay_run(house.tenant, house.tenant.connections[VIGILO], lease)


def test_a_replay_takes_in_what_a_mended_mapping_can_read(house: House) -> None:
    """Without asking the system again; what still fails stays with one attempt more."""
    _refused(house)
    _mend(house, 1)
    run_id = ask_replay(house.tenant, WHO, VIGILO)
    assert run_id
    with house.db.read() as tx:
        assert house.tenant.work.why(tx, run_id) == WHY
    result = _work(house, run_id)
    assert (result.counts["read"], result.counts["new"], result.counts["quarantined"]) == (2, 1, 1)
    assert [row.foreign_id for row in house.rows(records)] == ["vl-000001"]
    assert [(row.state, row.attempts) for row in house.rows(quarantine)] == [("replayed", 1), ("open", 2)]
    (run,) = house.rows(runs, run_id=run_id)
    assert (run.why, run.state, run.outcome) == ("replay", "done", "done")


def test_asked_twice_it_is_done_once(house: House) -> None:
    """While a run is to do it, asking again makes no other; when it is done what is left can be asked about again."""
    _refused(house)
    first = ask_replay(house.tenant, WHO, VIGILO)
    assert first
    assert ask_replay(house.tenant, WHO, VIGILO) is None
    _work(house, first)
    assert ask_replay(house.tenant, WHO, VIGILO) is not None
    assert [row.attempts for row in house.rows(quarantine)] == [2, 2]


def test_a_replay_can_be_of_some(house: House) -> None:
    """The others stay as they are."""
    one, _ = _refused(house)
    run_id = ask_replay(house.tenant, WHO, VIGILO, [one])
    assert run_id
    assert _work(house, run_id).counts["read"] == 1
    assert [row.attempts for row in house.rows(quarantine)] == [2, 1]


def test_a_record_that_is_closed_waits_again_when_it_is_refused_again(house: House) -> None:
    """Nothing is kept of it and no replay meets it; the next listing has it again, and mended it is taken in."""
    (one,) = _refused(house, 1)
    _decide(house).dismiss(one, WHO)
    (row,) = house.rows(quarantine)
    assert (row.state, row.sealed_record, row.wrapped_key) == ("dismissed", None, None)
    (event,) = house.rows(events, action="person:quarantine:dismissed")
    assert (event.actor, event.subject_id, event.data) == ("user-1", one, {})
    assert [(kept.choice, kept.log_id) for kept in house.rows(decisions)] == [("closed", None)]
    assert ask_replay(house.tenant, WHO, VIGILO) is None
    with pytest.raises(CannotDecide, match="No open record"):
        _decide(house).dismiss(one, WHO)
    house.pull(VIGILO)
    (row,) = house.rows(quarantine)
    assert (row.quarantine_id, row.state, row.sealed_record is None) == (one, "open", False)
    house.vigilo()["oppretta"] = "01.05.2026"
    house.saved(house.vigilo())
    assert house.pull(VIGILO).counts["new"] == 1
    assert [row.state for row in house.rows(quarantine)] == ["replayed"]


def _filed(original: bytes) -> Callable[[Connector], Iterator[Page]]:
    """List Vigilo's records as a folder does: each with the file that it came in."""

    def pages(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            yield replace(page, records=tuple(replace(record, original=original) for record in page.records))

    return pages


def test_a_replayed_record_is_exactly_the_one_delivered(house: House) -> None:
    """With version and file, so that it can be written back at once; the next listing finds nothing to change."""
    original = b"\x00\xff made up, no text in any encoding"
    house.detours[VIGILO].pages_by = _filed(original)
    _refused(house, 1)
    _mend(house, 9)
    run_id = ask_replay(house.tenant, WHO, VIGILO)
    assert run_id
    _work(house, run_id)
    side = house.log_of("vl-000001").side(VIGILO)
    assert side
    assert (side.foreign_version, side.original) == (str(house.vigilo()["versjon"]), original)
    assert side.record == house.tenant.connections[VIGILO].connector.fetch("vl-000001").tree
    assert house.pull(VIGILO).counts["unchanged"] == 1


def test_a_record_whose_log_was_sealed_is_replayed_when_it_opens(house: House) -> None:
    """While the log's key cannot be opened its records wait in quarantine, whole; afterwards they are taken in."""
    house.detours[VIGILO].pages_by = _filed(b"made up")
    house.tell(ordinary_kindergarten)
    house.pull(VIGILO)
    (key,) = house.rows(log_keys)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song."
    house.saved(house.vigilo())
    with house.db.write() as tx:
        tx.execute(update(log_keys).values(wrapped_key=b"made up, opens nothing"))
    house.pull(VIGILO)
    assert [row.reason for row in house.rows(quarantine, state="open")] == ["log_sealed"]
    with house.db.write() as tx:
        tx.execute(update(log_keys).values(wrapped_key=key.wrapped_key))
    run_id = ask_replay(house.tenant, WHO, VIGILO)
    assert run_id
    assert _work(house, run_id).counts["changed"] == 1
    side = house.log_of("vl-000001").side(VIGILO)
    assert side
    assert (side.foreign_version, side.original) == (str(house.vigilo()["versjon"]), b"made up")
    assert "Solskinn song." in {note.text for note in house.log_of("vl-000001").log.notes}
    assert house.rows(quarantine, state="open") == []


def _unsent(house: House, state: str, error: str | None = None) -> str:
    """Two deliveries, of which the one to Samspill is made to look as after a bad end."""
    house.tell(shared_level_2)
    _routed(house)
    with house.db.write() as tx:
        bad = update(deliveries).where(deliveries.c.connection == SAMSPILL)
        tx.execute(bad.values(state=state, error_class=error))
    return str(house.rows(deliveries, connection=SAMSPILL)[0].delivery_id)


@pytest.mark.parametrize(("state", "then"), [("failed", ["superseded", "ready"]), ("held", ["ready"])])
def test_a_delivery_that_ended_badly_goes_again(house: House, state: str, then: list[str]) -> None:
    """One that is held goes as it is, with its key; for one that failed what the log says now is written down."""
    delivery_id = _unsent(house, state)
    replay_delivery(house.tenant, delivery_id, WHO)
    assert house.states(SAMSPILL) == then
    house.deliver()
    assert house.received("samspill") == ["P-10001"]


def test_a_delivery_of_unknown_outcome_that_did_not_arrive_is_sent(house: House) -> None:
    """A person looked, and it was not there."""
    delivery_id = _unsent(house, "held", "outcome_unknown")
    replay_delivery(house.tenant, delivery_id, WHO, sent=False)
    house.deliver()
    assert house.received("samspill") == ["P-10001"]


def test_a_delivery_of_unknown_outcome_that_arrived_is_not_sent_again(house: House) -> None:
    """A person looked, and it was there: it counts as done and as agreed."""
    delivery_id = _unsent(house, "held", "outcome_unknown")
    replay_delivery(house.tenant, delivery_id, WHO, sent=True)
    assert house.states(SAMSPILL)[0] == "done"
    house.deliver()
    assert house.received("samspill") == []


def test_a_package_that_the_archive_refused_is_handed_over_again(house: House) -> None:
    """The same package, made once, as a delivery of its own."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.archive_folder.rmdir()
    house.archive_folder.write_text("no folder")
    house.archive()
    with house.db.write() as tx:
        tx.execute(update(deliveries).values(state="failed", sealed_payload=None))
    house.archive_folder.unlink()
    house.archive_folder.mkdir()
    replay_delivery(house.tenant, house.rows(deliveries)[0].delivery_id, WHO)
    house.time.after(hours=1)
    assert len(house.archive()) == 1
    assert house.states() == ["superseded", "done"]


@pytest.mark.parametrize("state", ["held", "unknown"])
def test_a_package_that_is_held_or_unknown_goes_again(house: House, state: str) -> None:
    """With the id that it had, by which the archive knows it: nobody has to find out first whether it arrived."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.archive_folder.rmdir()
    house.archive()
    with house.db.write() as tx:
        tx.execute(update(deliveries).values(state=state, error_class="internal_error"))
    house.archive_folder.mkdir()
    (row,) = house.rows(deliveries)
    replay_delivery(house.tenant, row.delivery_id, WHO)
    assert house.archive() == [row.delivery_id]


def test_a_package_that_a_newer_one_has_overtaken_stays_where_it_is(house: House) -> None:
    """The correction of the closing is on its way, and two may not be."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.archive_folder.rmdir()
    house.archive()
    (row,) = house.rows(deliveries)
    with house.db.write() as tx:
        tx.execute(update(deliveries).values(state="failed", sealed_payload=None))
    house.vigilo()["avslutning"]["grunngjeving"] = "Målet er nådd."
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.archive()
    with pytest.raises(CannotDecide, match="newer package"):
        replay_delivery(house.tenant, row.delivery_id, WHO)
    assert house.states() == ["failed", "ready"]


def test_of_an_unknown_outcome_a_person_must_say_what_became_of_it(house: House) -> None:
    """Neither is guessed; and of a known one nothing is to be said."""
    delivery_id = _unsent(house, "held", "outcome_unknown")
    with pytest.raises(CannotDecide, match="say --sent or --not-sent"):
        replay_delivery(house.tenant, delivery_id, WHO)
    with house.db.write() as tx:
        tx.execute(update(deliveries).values(error_class="refused"))
    with pytest.raises(CannotDecide, match="Leave out"):
        replay_delivery(house.tenant, delivery_id, WHO, sent=True)
