"""A case as Vigilo's assumed relay log: nynorsk words, dates as dd.mm.yyyy, evaluations inside their measure."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from hub.sandbox.case import (
    Baton,
    Case,
    Closing,
    Consent,
    Evaluation,
    Guardian,
    Json,
    Measure,
    Meeting,
    Note,
    Participant,
    words,
)
from hub.sandbox.checks import Checks
from hub.sandbox.municipality import Worker, made_up_uuid

_OSLO = ZoneInfo("Europe/Oslo")
_NEVER_SHARED = frozenset({"egen", "om_andre", "barnevern"})

SERVICES = frozenset(
    words(
        "BARNEHAGE SKULE SFO HELSESTASJON SKULEHELSE JORDMOR PPT BARNEVERN NAV NAV_FLYKTNING KOORDINERANDE FYSIO_ERGO "
        "LEGEKONTOR BUP FAMILIE ANNA"
    )
)
ID_PREFIXES = {
    "foresette": "vf",
    "deltakarar": "vd",
    "samtykke": "vs",
    "uro": "vu",
    "mal": "vm",
    "tiltak": "vt",
    "vurderingar": "vv",
    "mote": "vmo",
    "samtalar": "vsa",
    "notat": "vn",
    "stafettpinne": "vb",
    "avtalar": "va",
}
CHECKS = Checks(
    codes={
        "status": frozenset({"UTKAST", "VENTAR_SAMTYKKE", "AKTIV", "PAUSE", "AVSLUTTA"}),
        "barn.type": frozenset({"BARN", "UNGDOM", "GRAVID", "FAMILIE"}),
        "barn.adressevern": frozenset({"INGEN", "FORTROLEG", "STRENGT_FORTROLEG"}),
        "stafetthaldar.teneste": SERVICES,
        "foresette.relasjon": frozenset({"MOR", "FAR", "MEDMOR", "VERJE", "FOSTERFORELDER", "ANNAN"}),
        "foresette.bustad": frozenset({"SAMAN", "DELT", "HOS_DENNE", "HOS_ANDRE"}),
        "deltakarar.teneste": SERVICES,
        "samtykke.mottakar": SERVICES,
        "samtykke.omfang": frozenset({"PEDAGOGISK", "PPT", "HELSE", "BARNEVERN", "BARNETS_RØYST", "KONTAKT"}),
        "samtykke.gittAv.rolle": frozenset({"MOR", "FAR", "MEDMOR", "VERJE", "UNGDOM", "GRAVID"}),
        "samtykke.form": frozenset({"SKRIFTLEG", "DIGITAL", "MUNNLEG"}),
        "samtykke.status": frozenset({"VENTAR", "GITT", "AVVIST", "TREKT", "UTGATT"}),
        "mal.status": frozenset({"I_ARBEID", "NADD", "ENDRA", "AVSLUTTA"}),
        "tiltak.arena": frozenset({"BARNEHAGE", "SKULE", "HEIM", "FRITID", "HELSE", "ANNA"}),
        "tiltak.ansvarleg.teneste": SERVICES,
        "tiltak.status": frozenset(
            words("PLANLAGT IGANGSETT TIL_EVALUERING VIDAREFORT ENDRA MAL_NADD UTAN_EFFEKT AVBROTEN")
        ),
        "tiltak.vurderingar.effekt": frozenset({"GOD", "NOKO", "INGEN", "NEGATIV"}),
        "tiltak.vurderingar.avgjerd": frozenset({"VIDAREFORE", "ENDRE", "AVSLUTTE", "NYTT_TILTAK"}),
        "mote.type": frozenset({"SAMARBEID", "EVALUERING", "OVERGANG", "RESSURSTEAM"}),
        "notat.type": frozenset({"NOTAT", "LYSGLIMT"}),
        "notat.synleg": frozenset({"DELT", "EIGEN"}),
        "stafettpinne.svar": frozenset({"TILBODE", "AKSEPTERT", "AVSLATT", "TREKT"}),
        "avslutning.arsak": frozenset(
            words("MAL_NADD IKKJE_BEHOV IP_KOORDINATOR SAMTYKKE_TREKT FLYTTA ANNAN_INSTANS FEILOPPRETTA ANNA")
        ),
        "avslutning.avgjortAv": frozenset({"STAFETTHALDAR", "FORESETT", "UNGDOM", "LEIAR"}),
    },
    dates=frozenset(
        words(
            "oppretta fodselsdato dato start frist evalueringsfrist gjeldFra gjeldTil trekt tilbode svarDato fra til "
            "nesteMote"
        )
    ),
    day_first=True,
)


def person_id(national_id: str) -> str:
    """Give the UUID of a person in Vigilo, which says nothing about the number it was made from."""
    return made_up_uuid(f"person/{national_id}")


def student_id(national_id: str) -> str:
    """Give the UUID of the person's role as a student, in Core and in OneRoster alike."""
    return made_up_uuid(f"student/{national_id}")


def new_id(name: str, number: int) -> Json:
    """Give the id field of a new element in the list of that name."""
    return {"id": f"{ID_PREFIXES[name]}-{number}"}


def day(on: date | None) -> str | None:
    """Write a date the way the log's template prints it."""
    return f"{on:%d.%m.%Y}" if on else None


def instant(at: datetime) -> str:
    """Write an instant in UTC to the second, as Core prints `modifiedTime`."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def relay_log(record_id: str, case: Case) -> Json:
    """Write a case as one record of `/relay-logs`."""
    return {
        "id": record_id,
        "malkode": "STAFETT",
        "malversjon": "2",
        "versjon": case.version,
        "modifiedTime": instant(case.changed),
        "sistLest": instant(case.changed),
        "status": case.status,
        "niva": case.level,
        "steg": case.step,
        "oppretta": day(case.opened),
        "opprettaAv": case.holder.name,
        "malform": "nn",
        "barn": {
            "personId": person_id(case.subject.national_id),
            "type": case.subject.kind,
            "fodselsdato": day(case.subject.born),
            "adressevern": case.subject.protection,
            "tolkesprak": case.subject.interpreter,
        },
        "skuleId": case.unit.vigilo_id,
        "stafetthaldar": {
            "namn": case.holder.name,
            "stilling": case.holder.title,
            "teneste": case.holder.unit.service,
            "eining": case.holder.unit.name,
            "telefon": case.holder.phone,
            "epost": case.holder.email,
        },
        **_lists(case),
        "avslutning": _closing(case.closing) if case.closing else None,
        "vald": case.violence,
    }


def _lists(case: Case) -> Json:
    concerns = {concern: f"vu-{number}" for number, concern in enumerate(case.concerns, 1)}
    goals = {goal: f"vm-{number}" for number, goal in enumerate(case.goals, 1)}
    lists: dict[str, list[Json]] = {
        "foresette": [_guardian(guardian) for guardian in case.guardians],
        "deltakarar": [_participant(participant) for participant in case.participants],
        "samtykke": [_consent(consent) for consent in case.consents],
        "uro": [
            {"skildring": c.text, "omrade": list(c.areas), "dato": day(c.on), "meldtAv": c.raised_by} for c in concerns
        ],
        "mal": [
            {"skildring": g.text, "uroId": concerns.get(g.concern) if g.concern else None, "status": g.status}
            for g in goals
        ],
        "tiltak": [
            _measure(m, number, goals.get(m.goal) if m.goal else None) for number, m in enumerate(case.measures, 1)
        ],
        "mote": [_meeting(meeting) for meeting in case.meetings],
        "samtalar": [_talk(note) for note in case.notes if note.kind == "SAMTALE"],
        "notat": [_note(note) for note in case.notes if note.kind != "SAMTALE"],
        "stafettpinne": [_baton(baton) for baton in case.batons],
        "avtalar": [{"tekst": a.text, "dato": day(a.on), "partar": list(a.parties)} for a in case.agreements],
    }
    return {name: _numbered(name, elements) for name, elements in lists.items()}


def _numbered(name: str, elements: list[Json]) -> list[Json]:
    return [{**new_id(name, number), **element} for number, element in enumerate(elements, 1)]


def _guardian(guardian: Guardian) -> Json:
    return {
        "namn": guardian.name,
        "fodselsnummer": guardian.national_id,
        "relasjon": guardian.relation,
        "foreldreansvar": guardian.responsibility,
        "bustad": guardian.residence,
        "utestengd": guardian.barred,
        "adressevern": guardian.protection,
        "telefon": guardian.phone,
        "epost": guardian.email,
    }


def _participant(participant: Participant) -> Json:
    worker = participant.worker
    return {
        "namn": worker.name,
        "stilling": worker.title,
        "teneste": worker.unit.service,
        "eining": worker.unit.name,
        "oppgave": participant.task,
        "telefon": worker.phone,
        "epost": worker.email,
        "fra": day(participant.since),
        "til": day(participant.until),
    }


def _consent(consent: Consent) -> Json:
    return {
        "mottakar": consent.to,
        "omfang": list(consent.scope),
        "gittAv": [{"namn": s.name, "rolle": s.role, "dato": day(s.on)} for s in consent.signed],
        "form": consent.form,
        "gjeldFra": day(consent.since),
        "gjeldTil": day(consent.until),
        "status": consent.status,
        "trekt": day(consent.withdrawn),
        "barnetSpurt": consent.child_asked,
    }


def _measure(measure: Measure, number: int, goal_id: str | None) -> Json:
    return {
        "skildring": measure.text,
        "arena": measure.arena,
        "ansvarleg": {"namn": measure.responsible[0], "teneste": measure.responsible[1]},
        "start": day(measure.start),
        "frist": day(measure.due),
        "evalueringsfrist": day(measure.evaluate_by),
        "status": measure.status,
        "malId": goal_id,
        "vurderingar": [
            {"id": f"vv-{number}-{place}", **evaluation(told)} for place, told in enumerate(measure.evaluations, 1)
        ],
    }


def evaluation(told: Evaluation) -> Json:
    """Write an evaluation, still without its id."""
    return {
        "dato": day(told.on),
        "effekt": told.effect,
        "tekst": told.text,
        "avgjerd": told.decision,
        "barnetsSyn": told.child_view,
    }


def _meeting(meeting: Meeting) -> Json:
    return {
        "type": meeting.kind,
        "tid": meeting.at.astimezone(_OSLO).isoformat(),
        "stad": meeting.place,
        "dagsorden": meeting.agenda,
        "leiar": meeting.chair,
        "referent": meeting.secretary,
        "deltakarar": list(meeting.attendees),
        "referat": meeting.minutes,
        "nesteMote": day(meeting.next_on),
    }


def _talk(note: Note) -> Json:
    return {"dato": day(note.on), "tekst": note.text, "forfattar": note.author}


def _note(note: Note) -> Json:
    return {
        "type": note.kind,
        **_talk(note),
        "synleg": "EIGEN" if note.part in _NEVER_SHARED else "DELT",
    }


def _baton(baton: Baton) -> Json:
    return {
        "fra": _end(baton.giver),
        "til": _end(baton.taker),
        "tilbode": day(baton.offered),
        "svar": baton.answer,
        "svarDato": day(baton.answered),
        "grunn": baton.reason,
        "barnetsOnske": baton.child_wish,
    }


def _end(worker: Worker) -> Json:
    return {"namn": worker.name, "teneste": worker.unit.service, "eining": worker.unit.name}


def _closing(closing: Closing) -> Json:
    return {
        "dato": day(closing.on),
        "arsak": closing.reason,
        "grunngjeving": closing.text,
        "avgjortAv": closing.decided_by,
        "vidareTil": closing.continues,
    }
