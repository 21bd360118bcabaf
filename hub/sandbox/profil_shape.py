"""A case as Visma Profil's assumed journal document: XML in bokmål, a plan of problem, goal, measure and evaluation.

The therapists write in the health station's department, so what they write carries their service and the day in
brackets before the text, as the document has it for whatever the department has not written itself.
"""

from datetime import date, datetime
from random import Random
from zoneinfo import ZoneInfo

from hub.payloads.registry import payload
from hub.sandbox import texts
from hub.sandbox.case import (
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
    family_first,
    number_rows,
)
from hub.sandbox.municipality import HEALTH_STATION
from hub.sandbox.vigilo_shape import day

_OSLO = ZoneInfo("Europe/Oslo")
_MARK = "Ergo- og fysioterapi"
_STATUS = {"AKTIV": "A", "AVSLUTTA": "L", "VENTAR_SAMTYKKE": "S", "PAUSE": "H", "UTKAST": "K"}
_SERVICES = {
    "HELSESTASJON": "HST",
    "SKULEHELSE": "SHT",
    "BARNEHAGE": "BHG",
    "SKULE": "SKO",
    "PPT": "PPT",
    "FYSIO_ERGO": "FYS",
    "FAMILIE": "FAM",
}
_SCOPE = {"PEDAGOGISK": "PED", "PPT": "PPT", "HELSE": "HEL", "BARNEVERN": "BVT", "BARNETS_RØYST": "BST"}
_AREAS = {"MOTORIKK": "MOT", "LEIK": "LEK", "FYSISK_HELSE": "FYS", "SOSIAL": "SOS"}
_ROLES = {"MOR": "MO", "FAR": "FA", "UNGDOM": "UN"}
_PROTECTION = {"INGEN": "0", "FORTROLEG": "7", "STRENGT_FORTROLEG": "6"}
_MEASURE = {"PLANLAGT": "P", "IGANGSETT": "I", "TIL_EVALUERING": "E", "VIDAREFORT": "V", "MAL_NADD": "M"}
_EFFECT = {"GOD": "3", "NOKO": "2", "INGEN": "1", "NEGATIV": "0"}
_REASONS = {"MAL_NADD": "1", "IKKJE_BEHOV": "2", "FLYTTA": "5"}

_NUMBERED = {
    "Deltakere/Deltaker": "D",
    "Samtykker/Samtykke": "S",
    "Plan/Problem": "P",
    "Plan/Mal": "M",
    "Plan/Mal/Tiltak": "T",
    "Plan/Tiltak": "TU",
    "Moter/Mote": "MO",
    "Notater/Notat": "N",
}

PAYLOAD = payload(
    "xml",
    {
        "namespaces": {"": "urn:profil:journaldokument:stafettlogg:1"},
        "lists": [
            "/Journaldokument/Parorende/Person",
            "/Journaldokument/Deltakere/Deltaker",
            "/Journaldokument/Samtykker/Samtykke",
            "/Journaldokument/Samtykker/Samtykke/Underskrift",
            "/Journaldokument/Plan/Problem",
            "/Journaldokument/Plan/Mal",
            "/Journaldokument/Plan/Mal/Tiltak",
            "/Journaldokument/Plan/Mal/Tiltak/Evaluering",
            "/Journaldokument/Plan/Tiltak",
            "/Journaldokument/Plan/Tiltak/Evaluering",
            "/Journaldokument/Moter/Mote",
            "/Journaldokument/Notater/Notat",
        ],
    },
)


def record_id(tree: Json) -> str:
    """Return the number of the document in a tree, "" where it has none."""
    return str(tree.get("Journaldokument", {}).get("@dokumentnr", ""))


def stamp(tree: Json, now: datetime) -> None:
    """Note that the document was saved: its next version and when, and numbers for the rows that had none."""
    document = tree["Journaldokument"]
    for places, prefix in _NUMBERED.items():
        number_rows(_rows(document, *places.split("/")), "@nr", prefix)
    for measure in _rows(document, "Plan", "Mal", "Tiltak") + _rows(document, "Plan", "Tiltak"):
        number_rows(_rows(measure, "Evaluering"), "@nr", "")
    document["@versjon"] = str(int(document["@versjon"]) + 1)
    document["Dokument"]["Endret"] = _moment(now)


def _rows(holder: Json, *names: str) -> list[Json]:
    """Return the rows below an element, however many lists lie between."""
    held = holder.get(names[0]) or []
    found: list[Json] = held if isinstance(held, list) else [held]
    return [row for one in found for row in _rows(one, *names[1:])] if names[1:] else found


def edit(tree: Json, rng: Random, now: datetime, number: int) -> bool:
    """Let a therapist add a note; False where the document is not active."""
    document = tree["Journaldokument"]
    if document["Dokument"]["Status"] != "A":
        return False
    text = f"[{_MARK} {day(now.date())}] {rng.choice(texts.THERAPY_NOTE_NB)}"
    note = {"@nr": f"N{number}", "@type": "NOT", "@deles": "J", "@dato": day(now.date()), "@av": "FYS", "#text": text}
    document.setdefault("Notater", {}).setdefault("Notat", []).append(note)
    return True


def record(number: str, case: Case) -> Json:
    """Write a case as one whole document."""
    document = {
        "@dokumentnr": number,
        "@dokumenttype": "STAFETTLOGG",
        "@versjon": str(case.version),
        "Dokument": {
            "Status": _STATUS[case.status],
            "Opprettet": {"@dato": day(case.opened), "@av": "FYS"},
            "Endret": _moment(case.changed),
            "Malform": "B",
        },
        "Pasient": _patient(number, case),
        "Avdeling": {"@nr": "12", "@kode": "HST", "@orgnr": HEALTH_STATION.orgnr, "#text": HEALTH_STATION.name},
        "Ansvarlig": {
            "@tittel": case.holder.title,
            "@tjeneste": _SERVICES[case.holder.unit.service],
            "@tlf": case.holder.phone,
            "Navn": family_first(case.holder.name),
            "Arbeidssted": case.holder.unit.name,
        },
        "Parorende": {"Person": [_guardian(g, n) for n, g in enumerate(case.guardians, 1)]},
        "Deltakere": {"Deltaker": [_participant(p, n) for n, p in enumerate(case.participants, 1)]},
        "Samtykker": {"Samtykke": [_consent(c, n) for n, c in enumerate(case.consents, 1)]},
        "Plan": _plan(case),
        "Moter": {"Mote": [_meeting(m, n) for n, m in enumerate(case.meetings, 1)]},
        "Notater": {"Notat": [_note(note, n) for n, note in enumerate(case.notes, 1)]},
    }
    return {"Journaldokument": {**document, **({"Avslutning": _closing(case.closing)} if case.closing else {})}}


def _moment(at: datetime) -> str:
    return f"{at.astimezone(_OSLO):%d.%m.%Y %H:%M:%S}"


def _marked(text: str, on: date) -> str:
    return f"[{_MARK} {day(on)}] {text}"


def _patient(number: str, case: Case) -> Json:
    return {
        "@pasientnr": f"88{number}",
        "@type": "B",
        "@fnr": case.subject.national_id,
        "@skjerming": _PROTECTION[case.subject.protection],
        "Navn": family_first(case.subject.name),
        "Fodt": day(case.subject.born),
    }


def _guardian(guardian: Guardian, number: int) -> Json:
    return {
        "@nr": str(number),
        "@slektskap": _ROLES[guardian.relation],
        "@fnr": guardian.national_id,
        "@foreldreansvar": {True: "J", False: "N", None: None}[guardian.responsibility],
        "@skjerming": _PROTECTION[guardian.protection],
        "@tlf": guardian.phone,
        "Navn": family_first(guardian.name),
    }


def _participant(participant: Participant, number: int) -> Json:
    worker = participant.worker
    return {
        "@nr": f"D{number}",
        "@tittel": worker.title,
        "@tjeneste": _SERVICES[worker.unit.service],
        "@fra": day(participant.since),
        "@tlf": worker.phone,
        "Navn": family_first(worker.name),
        "Arbeidssted": worker.unit.name,
        "Oppgave": participant.task,
    }


def _consent(consent: Consent, number: int) -> Json:
    signed = [{"@som": _ROLES[s.role], "@dato": day(s.on), "#text": family_first(s.name)} for s in consent.signed]
    return {
        "@nr": f"S{number}",
        "@mottaker": _SERVICES[consent.to],
        "@omfang": ",".join(_SCOPE[part] for part in consent.scope),
        "@form": "D",
        "@status": "G",
        "@fra": day(consent.since),
        "Underskrift": signed,
    }


def _plan(case: Case) -> Json:
    problems = {concern: f"P{n}" for n, concern in enumerate(case.concerns, 1)}
    return {
        "BTI": {"@niva": str(case.level), "@trinn": case.step},
        "Problem": [_problem(concern, number) for concern, number in problems.items()],
        "Mal": [_goal(goal, f"M{n}", problems, case) for n, goal in enumerate(case.goals, 1)],
    }


def _problem(concern: Concern, number: str) -> Json:
    areas = ",".join(_AREAS.get(area, "ANN") for area in concern.areas)
    text = _marked(concern.text, concern.on)
    return {"@nr": number, "@registrert": day(concern.on), "@omrade": areas, "#text": text}


def _goal(goal: Goal, number: str, problems: dict[Concern, str], case: Case) -> Json:
    return {
        "@nr": number,
        "@problem": problems[goal.concern] if goal.concern else None,
        "@registrert": day(goal.on),
        "@status": "N" if goal.status == "NADD" else "I",
        "Tekst": _marked(goal.text, goal.on),
        "Tiltak": [_measure(m, f"T{n}") for n, m in enumerate(case.measures, 1) if m.goal == goal],
    }


def _measure(measure: Measure, number: str) -> Json:
    name, service = measure.responsible
    return {
        "@nr": number,
        "@status": _MEASURE[measure.status],
        "@start": day(measure.start),
        "@frist": day(measure.due),
        "@evalueres": day(measure.evaluate_by),
        "Tekst": _marked(measure.text, measure.start),
        "Utforer": {"@tjeneste": _SERVICES[service], "Navn": family_first(name)},
        "Evaluering": [_evaluation(told, n) for n, told in enumerate(measure.evaluations, 1)],
    }


def _evaluation(told: Evaluation, number: int) -> Json:
    text = _marked(told.text, told.on)
    effect = _EFFECT[told.effect]
    return {"@nr": str(number), "@dato": day(told.on), "@effekt": effect, "@vedtak": "V", "#text": text}


def _meeting(meeting: Meeting, number: int) -> Json:
    return {
        "@nr": f"MO{number}",
        "@type": "SAM",
        "@referent": meeting.secretary,
        "@neste": day(meeting.next_on),
        "Tid": f"{meeting.at.astimezone(_OSLO):%d.%m.%Y %H:%M}",
        "Sted": meeting.place,
        "Saksliste": meeting.agenda,
        "Til_stede": "; ".join(meeting.attendees),
        "Referat": _marked(meeting.minutes, meeting.at.date()),
    }


def _note(note: Note, number: int) -> Json:
    shown = {"@nr": f"N{number}", "@type": "NOT", "@deles": "N" if note.part == "egen" else "J"}
    return {**shown, "@dato": day(note.on), "@av": note.author, "#text": _marked(note.text, note.on)}


def _closing(closing: Closing) -> Json:
    return {"@dato": day(closing.on), "@arsak": _REASONS[closing.reason], "Epikrise": closing.text}
