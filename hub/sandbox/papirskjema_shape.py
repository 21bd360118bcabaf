"""A case as the municipality's paper form: the blank PDF form, filled in by hand in nynorsk."""

from datetime import datetime
from pathlib import Path

from hub.payloads.registry import payload
from hub.sandbox.case import Case, Guardian, Json, Measure
from hub.sandbox.vigilo_shape import day

_SERVICES = {"BARNEHAGE": "Barnehage", "SKULE": "Skule"}
_AREAS = {
    "SPRAK": "Språk",
    "LEIK": "Leik",
    "SOSIAL": "Sosialt samspel",
    "MOTORIKK": "Motorikk",
    "ATFERD": "Åtferd",
    "HEIM_OMSORG": "Heim",
}
_ARENAS = {"BARNEHAGE": "Barnehage", "SKULE": "Skule", "HEIM": "Heim", "FRITID": "Fritid"}
_RELATIONS = {"MOR": "Mor", "FAR": "Far"}

PAYLOAD = payload("pdf", {})
BLANK = Path(__file__).parent.parent / "mappings" / "templates" / "samples" / "papirskjema-tom.pdf"


def record_id(tree: Json) -> str:
    """Return the number of the log in a filled form, "" where it has none."""
    return str(tree.get("fields", {}).get("logg.nummer") or "")


def stamp(tree: Json, now: datetime) -> None:
    """Leave the form as it is: it has no place for a version or for when it was saved."""


def record(number: str, case: Case) -> Json:
    """Write what the form is to be filled with. The consents lie signed on paper of their own."""
    fields = {
        "logg.nummer": number,
        "logg.dato": day(case.opened),
        "logg.nivå": str(case.level),
        "logg.status": "Aktiv",
        "barn.namn": case.subject.name,
        "barn.fødselsnummer": case.subject.national_id,
        "barn.fødd": day(case.subject.born),
        "barn.sperre": "Nei",
        **_guardian(case.guardians[0], 1),
        **_guardian(case.guardians[1], 2),
        "haldar.namn": case.holder.name,
        "haldar.stilling": case.holder.title,
        "haldar.telefon": case.holder.phone,
        "eining.namn": case.unit.name,
        "eining.type": _SERVICES[case.unit.service],
        **_concern(case),
        "mål.tekst": case.goals[0].text,
    }
    for place, measure in enumerate(case.measures, 1):
        fields |= _measure(measure, place)
    return {"fields": fields}


def _concern(case: Case) -> Json:
    concern = case.concerns[0]
    return {
        "uro.tekst": concern.text,
        "uro.område": [_AREAS[area] for area in concern.areas],
        "uro.dato": day(concern.on),
        "uro.meldt av": concern.raised_by,
    }


def _guardian(guardian: Guardian, number: int) -> Json:
    return {
        f"føresett{number}.namn": guardian.name,
        f"føresett{number}.slekt": _RELATIONS[guardian.relation],
        f"føresett{number}.telefon": guardian.phone,
    }


def _measure(measure: Measure, place: int) -> Json:
    return {
        f"tiltak{place}.tekst": measure.text,
        f"tiltak{place}.arena": _ARENAS[measure.arena],
        f"tiltak{place}.ansvarleg": measure.responsible[0],
        f"tiltak{place}.frist": day(measure.due),
        f"tiltak{place}.evaluering": measure.evaluations[0].text if measure.evaluations else None,
    }
