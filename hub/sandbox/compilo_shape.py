"""A case as the kindergarten's Word form in Compilo: the blank form, filled in nynorsk."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.payloads.registry import payload
from hub.sandbox.case import Case, Guardian, Json, Measure, Meeting
from hub.sandbox.samspill_shape import day as iso
from hub.sandbox.vigilo_shape import day

_OSLO = ZoneInfo("Europe/Oslo")
_AREAS = {
    "SPRAK": "Språk og kommunikasjon",
    "LEIK": "Leik og venskap",
    "SOSIAL": "Sosial kompetanse og samspel",
    "MOTORIKK": "Motorikk og sansing",
    "ATFERD": "Åtferd og regulering",
    "HEIM_OMSORG": "Heim og omsorg",
}
_RELATIONS = {"MOR": "Mor", "FAR": "Far"}

PAYLOAD = payload("docx", {})
BLANK = Path(__file__).parent.parent / "mappings" / "templates" / "samples" / "compilo-tom.docx"


def record_id(tree: Json) -> str:
    """Return the number of the log in a filled form, "" where it has none."""
    return str(tree.get("pairs", {}).get("loggnummer") or "")


def stamp(tree: Json, now: datetime) -> None:
    """Leave the form as it is: it has no place for a version or for when it was saved."""


def record(number: str, case: Case) -> Json:
    """Write what the form is to be filled with. The consents lie signed with the health station, not in the form."""
    concern, goal, voice = case.concerns[0], case.goals[0], [n for n in case.notes if n.kind == "SAMTALE"]
    return {
        "controls": {
            "fødd": iso(case.subject.born),
            "gjeld": "Barn",
            "sperre": "Nei",
            "oppretta": iso(case.opened),
            "nivå": str(case.level),
            "status": "Aktiv",
        },
        "pairs": {
            "loggnummer": number,
            "barnet: namn": case.subject.name,
            "fødselsnummer": case.subject.national_id,
            **_guardian(case.guardians[0], 1),
            **_guardian(case.guardians[1], 2),
            **_frame(case),
            "utviklingsområde": "; ".join(_AREAS[area] for area in concern.areas),
            "meldt av": concern.raised_by,
        },
        "tables": {
            "tiltak": [_measure(measure) for measure in case.measures],
            "møte": [_meeting(meeting) for meeting in case.meetings],
        },
        "sections": {"uro": concern.text, "mål": goal.text, "barnet si røyst": voice[0].text if voice else None},
    }


def _frame(case: Case) -> Json:
    return {
        "stafetthaldar: namn": case.holder.name,
        "stilling": case.holder.title,
        "teneste": "Barnehage",
        "eining": case.holder.unit.name,
        "stafetthaldar: telefon": case.holder.phone,
        "stafetthaldar: e-post": case.holder.email,
        "namn på eininga": case.unit.name,
        "organisasjonsnummer": case.unit.orgnr,
        "type eining": "Barnehage",
    }


def _guardian(guardian: Guardian, number: int) -> Json:
    return {
        f"føresett {number}: namn": guardian.name,
        f"føresett {number}: relasjon": _RELATIONS[guardian.relation],
        f"føresett {number}: foreldreansvar": "Ja" if guardian.responsibility else "Nei",
        f"føresett {number}: telefon": guardian.phone,
        f"føresett {number}: e-post": guardian.email,
    }


def _measure(measure: Measure) -> Json:
    return {
        "tiltak": measure.text,
        "ansvarleg": measure.responsible[0],
        "frist": day(measure.due),
        "status": "Igangsett",
        "vurdering": measure.evaluations[0].text if measure.evaluations else None,
    }


def _meeting(meeting: Meeting) -> Json:
    return {
        "tid": f"{meeting.at.astimezone(_OSLO):%d.%m.%Y kl. %H.%M}",
        "type": "Samarbeidsmøte",
        "stad": meeting.place,
        "til stades": "; ".join(meeting.attendees),
        "referat": meeting.minutes,
        "neste møte": day(meeting.next_on),
    }
