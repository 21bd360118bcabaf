"""A case as Samspill's assumed plan: bokmål words under English keys, ISO dates, a writer on every element."""

from datetime import date, datetime

from hub.sandbox.case import (
    Agreement,
    Baton,
    Case,
    Closing,
    Concern,
    Consent,
    Evaluation,
    Goal,
    Guardian,
    Json,
    Measure,
    Meeting,
    Note,
    Participant,
    Person,
    words,
)
from hub.sandbox.checks import Checks
from hub.sandbox.municipality import MUNICIPALITY_ORGNR, Unit, Worker
from hub.sandbox.vigilo_shape import instant

_WORDS = {
    "SKULE": "skole",
    "SKULEHELSE": "skolehelse",
    "KOORDINERANDE": "koordinerende",
    "ANNA": "annet",
    "ANNAN": "annen",
    "UTKAST": "kladd",
    "VENTAR_SAMTYKKE": "venter_samtykke",
    "AVSLUTTA": "avsluttet",
    "FORTROLEG": "fortrolig",
    "STRENGT_FORTROLEG": "strengt_fortrolig",
    "VERJE": "verge",
    "SAMAN": "felles",
    "HOS_DENNE": "fast_her",
    "HOS_ANDRE": "fast_hos_annen",
    "BARNETS_RØYST": "barnets_stemme",
    "SKRIFTLEG": "skriftlig",
    "MUNNLEG": "muntlig",
    "VENTAR": "venter",
    "TREKT": "trukket",
    "UTGATT": "utløpt",
    "SPRAK": "språk",
    "LEIK": "lek",
    "SOSIAL": "sosialt",
    "LARING": "læring",
    "NARVAR": "nærvær",
    "HEIM_OMSORG": "hjem_omsorg",
    "NADD": "nådd",
    "ENDRA": "endret",
    "HEIM": "hjem",
    "IGANGSETT": "igangsatt",
    "VIDAREFORT": "videreført",
    "MAL_NADD": "mål_nådd",
    "UTAN_EFFEKT": "uten_effekt",
    "AVBROTEN": "avbrutt",
    "NOKO": "noe",
    "VIDAREFORE": "videreføre",
    "TILBODE": "tilbudt",
    "AVSLATT": "avslått",
    "SAMTALE": "samtale_med_barnet",
    "IKKJE_BEHOV": "ikke_behov",
    "IP_KOORDINATOR": "individuell_plan",
    "SAMTYKKE_TREKT": "samtykke_trukket",
    "FLYTTA": "flyttet",
    "ANNAN_INSTANS": "annen_instans",
    "STAFETTHALDAR": "stafettholder",
    "FORESETT": "foresatt",
    "LEIAR": "leder",
}
"""Samspill's word for a code of the stories; the rest are the same in lower case."""

SERVICES = frozenset(
    words(
        "barnehage skole sfo helsestasjon skolehelse jordmor ppt barnevern nav nav_flyktning koordinerende fysio_ergo "
        "legekontor bup familie annet"
    )
)
ID_FIELDS = {
    "family": ("personId", "F"),
    "participants": ("participantId", "D"),
    "consents": ("consentId", "C"),
    "concerns": ("concernId", "B"),
    "goals": ("goalId", "M"),
    "activities": ("activityId", "T"),
    "evaluations": ("evaluationId", "E"),
    "meetings": ("meetingId", "MØ"),
    "notes": ("noteId", "N"),
    "handovers": ("handoverId", "S"),
    "agreements": ("agreementId", "AV"),
}
CHECKS = Checks(
    codes={
        "state": frozenset({"kladd", "venter_samtykke", "aktiv", "pause", "avsluttet"}),
        "btiLevel": frozenset({"NIVÅ 0", "NIVÅ 1", "NIVÅ 2", "NIVÅ 3"}),
        "mainPerson.kind": frozenset({"barn", "ungdom", "gravid", "familie"}),
        "mainPerson.addressProtection": frozenset({"ingen", "fortrolig", "strengt_fortrolig"}),
        "planLead.service": SERVICES,
        "family.parentalResponsibility": frozenset({"ja", "nei", "ukjent"}),
        "family.residence": frozenset({"felles", "delt", "fast_her", "fast_hos_annen", "ukjent"}),
        "participants.service": SERVICES,
        "consents.toService": SERVICES,
        "consents.scope": frozenset({"pedagogisk", "ppt", "helse", "barnevern", "barnets_stemme", "kontakt"}),
        "consents.state": frozenset({"venter", "gitt", "avvist", "trukket", "utløpt"}),
        "goals.state": frozenset({"i_arbeid", "nådd", "endret", "avsluttet"}),
        "activities.arena": frozenset({"barnehage", "skole", "hjem", "fritid", "helse", "annet"}),
        "activities.responsible.service": SERVICES,
        "activities.state": frozenset(
            words("planlagt igangsatt til_evaluering videreført endret mål_nådd uten_effekt avbrutt")
        ),
        "activities.evaluations.effect": frozenset({"god", "noe", "ingen", "negativ"}),
        "activities.evaluations.decision": frozenset({"videreføre", "endre", "avslutte", "nytt_tiltak"}),
        "meetings.type": frozenset({"samarbeid", "evaluering", "overgang", "ressursteam", "ansvarsgruppe"}),
        "notes.kind": frozenset({"notat", "lysglimt", "samtale_med_barnet"}),
        "notes.part": frozenset({"pedagogisk", "ppt", "helse", "barnevern", "barnets_stemme", "om_andre", "egen"}),
        "handovers.answer": frozenset({"tilbudt", "akseptert", "avslått", "trukket"}),
        "closing.reason": frozenset(
            words("mål_nådd ikke_behov individuell_plan samtykke_trukket flyttet annen_instans feilopprettet annet")
        ),
        "closing.decidedBy": frozenset({"stafettholder", "foresatt", "ungdom", "leder"}),
    },
    dates=frozenset(
        words(
            "createdOn birthDate dueDate on validFrom validTo withdrawnOn startsOn dueOn evaluateBy from to "
            "nextMeeting offeredOn answeredOn"
        )
    ),
    day_first=False,
)


def word(code: str) -> str:
    """Give Samspill's word for a code of the stories."""
    return _WORDS.get(code, code.lower())


def new_id(name: str, number: int) -> Json:
    """Give the id field of a new element in the list of that name."""
    key, prefix = ID_FIELDS[name]
    return {key: f"{prefix}{number}"}


def day(on: date | None) -> str | None:
    """Write a date as ISO 8601."""
    return on.isoformat() if on else None


def writer(service: str, on: date | datetime) -> Json:
    """Write the mark that says which service wrote an element, and when."""
    return {"service": word(service), "on": f"{on:%Y-%m-%d}"}


def plan(plan_id: str, case: Case) -> Json:
    """Write a case as one whole plan."""
    return {
        "planId": plan_id,
        "planTypeId": "STAFETTLOGG",
        "organisationNumber": MUNICIPALITY_ORGNR,
        "version": case.version,
        "changedAt": instant(case.changed),
        "createdOn": day(case.opened),
        "language": "NB",
        "lastOpenedAt": instant(case.changed),
        "state": word(case.status),
        "btiLevel": f"NIVÅ {case.level}",
        "step": case.step,
        "mainPerson": main_person(case.subject),
        "affiliation": affiliation(case.unit),
        "planLead": {
            "name": case.holder.name,
            "title": case.holder.title,
            "service": word(case.holder.unit.service),
            "unit": case.holder.unit.name,
            "phone": case.holder.phone,
            "email": case.holder.email,
        },
        **_lists(case),
        "closing": _closing(case.closing) if case.closing else None,
        "concernsViolence": bool(case.violence),
    }


def main_person(person: Person) -> Json:
    """Write the one the plan is about; only a pregnant mother has a due date."""
    return {
        "name": person.name,
        "nationalId": person.national_id,
        "birthDate": day(person.born),
        "kind": word(person.kind),
        "addressProtection": word(person.protection),
        "interpreter": person.interpreter,
        **({"dueDate": day(person.due)} if person.due else {}),
    }


def affiliation(unit: Unit) -> Json:
    """Write the unit a plan belongs to."""
    return {
        "id": unit.affiliation,
        "name": unit.name,
        "organisationNumber": unit.orgnr,
        "service": word(unit.service),
    }


def _lists(case: Case) -> Json:
    concerns = {concern: f"B{number}" for number, concern in enumerate(case.concerns, 1)}
    goals = {goal: f"M{number}" for number, goal in enumerate(case.goals, 1)}
    lists: dict[str, list[Json]] = {
        "family": [_guardian(guardian) for guardian in case.guardians],
        "participants": [_participant(participant) for participant in case.participants],
        "consents": [_consent(consent) for consent in case.consents],
        "concerns": [_concern(concern) for concern in concerns],
        "goals": [_goal(goal, concerns.get(goal.concern) if goal.concern else None) for goal in goals],
        "activities": [
            _activity(m, number, goals.get(m.goal) if m.goal else None) for number, m in enumerate(case.measures, 1)
        ],
        "meetings": [_meeting(meeting) for meeting in case.meetings],
        "notes": [_note(note) for note in case.notes],
        "handovers": [_handover(baton) for baton in case.batons],
        "agreements": [_agreement(agreement) for agreement in case.agreements],
    }
    return {name: _numbered(name, elements) for name, elements in lists.items()}


def _numbered(name: str, elements: list[Json]) -> list[Json]:
    return [{**new_id(name, number), **element} for number, element in enumerate(elements, 1)]


def _guardian(guardian: Guardian) -> Json:
    responsibility = {True: "ja", False: "nei", None: "ukjent"}[guardian.responsibility]
    return {
        "name": guardian.name,
        "nationalId": guardian.national_id,
        "relation": word(guardian.relation),
        "parentalResponsibility": responsibility,
        "residence": word(guardian.residence) if guardian.residence else "ukjent",
        "barred": guardian.barred,
        "addressProtection": word(guardian.protection),
        "phone": guardian.phone,
        "email": guardian.email,
    }


def _participant(participant: Participant) -> Json:
    worker = participant.worker
    return {
        "name": worker.name,
        "title": worker.title,
        "service": word(worker.unit.service),
        "unit": worker.unit.name,
        "responsibility": participant.task,
        "roleId": "DELTAKER",
        "from": day(participant.since),
        "to": day(participant.until),
        "phone": worker.phone,
        "email": worker.email,
    }


def _consent(consent: Consent) -> Json:
    return {
        "toService": word(consent.to),
        "scope": [word(part) for part in consent.scope],
        "signedBy": [{"name": s.name, "role": word(s.role), "on": day(s.on)} for s in consent.signed],
        "form": word(consent.form),
        "validFrom": day(consent.since),
        "validTo": day(consent.until),
        "state": word(consent.status),
        "withdrawnOn": day(consent.withdrawn),
        "childAsked": consent.child_asked,
    }


def _concern(concern: Concern) -> Json:
    return {
        "text": concern.text,
        "areas": [word(area) for area in concern.areas],
        "on": day(concern.on),
        "raisedBy": concern.raised_by,
        "writtenBy": writer(concern.writer, concern.on),
    }


def _goal(goal: Goal, concern_id: str | None) -> Json:
    return {
        "text": goal.text,
        "concernId": concern_id,
        "state": word(goal.status),
        "writtenBy": writer(goal.writer, goal.on),
    }


def _activity(measure: Measure, number: int, goal_id: str | None) -> Json:
    return {
        "goalId": goal_id,
        "text": measure.text,
        "arena": word(measure.arena),
        "responsible": {"name": measure.responsible[0], "service": word(measure.responsible[1])},
        "startsOn": day(measure.start),
        "dueOn": day(measure.due),
        "evaluateBy": day(measure.evaluate_by),
        "state": word(measure.status),
        "writtenBy": writer(measure.writer, measure.start),
        "evaluations": [
            {"evaluationId": f"E{number}-{place}", **evaluation(told)}
            for place, told in enumerate(measure.evaluations, 1)
        ],
    }


def evaluation(told: Evaluation) -> Json:
    """Write an evaluation, still without its id."""
    return {
        "on": day(told.on),
        "effect": word(told.effect),
        "text": told.text,
        "decision": word(told.decision),
        "childView": told.child_view,
        "writtenBy": writer(told.writer, told.on),
    }


def _meeting(meeting: Meeting) -> Json:
    return {
        "type": word(meeting.kind),
        "startsAt": instant(meeting.at),
        "place": meeting.place,
        "agenda": meeting.agenda,
        "chair": meeting.chair,
        "secretary": meeting.secretary,
        "attendees": list(meeting.attendees),
        "minutes": meeting.minutes,
        "nextMeeting": day(meeting.next_on),
        "writtenBy": writer(meeting.writer, meeting.at),
    }


def _note(note: Note) -> Json:
    return {
        "kind": word(note.kind),
        "on": day(note.on),
        "text": note.text,
        "author": note.author,
        "part": note.part,
        "writtenBy": writer(note.writer, note.on),
    }


def _handover(baton: Baton) -> Json:
    return {
        "from": _end(baton.giver),
        "to": _end(baton.taker),
        "offeredOn": day(baton.offered),
        "answer": word(baton.answer),
        "answeredOn": day(baton.answered),
        "reason": baton.reason,
        "childWish": baton.child_wish,
    }


def _end(worker: Worker) -> Json:
    return {"name": worker.name, "service": word(worker.unit.service), "unit": worker.unit.name}


def _agreement(agreement: Agreement) -> Json:
    return {
        "text": agreement.text,
        "on": day(agreement.on),
        "parties": list(agreement.parties),
        "writtenBy": writer(agreement.writer, agreement.on),
    }


def _closing(closing: Closing) -> Json:
    return {
        "on": day(closing.on),
        "reason": word(closing.reason),
        "text": closing.text,
        "decidedBy": word(closing.decided_by),
        "continuesAs": closing.continues,
    }
