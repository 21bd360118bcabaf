"""A case as Visma Flyt Barnevern's assumed relay log: JSON in bokmål, flat lists that refer to each other."""

from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hub.payloads.registry import payload
from hub.sandbox.case import (
    Case,
    Concern,
    Consent,
    Evaluation,
    Goal,
    Guardian,
    Json,
    Measure,
    Meeting,
    Note,
    family_first,
    number_rows,
)
from hub.sandbox.municipality import Worker
from hub.sandbox.samspill_shape import day

_OSLO = ZoneInfo("Europe/Oslo")
_STATES = {"AKTIV": "LØPENDE", "AVSLUTTA": "LUKKET"}
_SERVICES = {
    "BARNEHAGE": "BHG",
    "SKULE": "SKO",
    "HELSESTASJON": "HST",
    "PPT": "PPT",
    "BARNEVERN": "BVT",
    "FAMILIE": "FAM",
}
_SCOPE = {"PEDAGOGISK": "OPPL", "HELSE": "HELSE", "BARNEVERN": "BV", "BARNETS_RØYST": "BARN"}
_AREAS = {"HEIM_OMSORG": "T10", "NARVAR": "T09", "PSYKISK_HELSE": "T07"}
_ARENAS = {"BARNEHAGE": "BHG", "SKULE": "SKO", "HEIM": "HJEM", "FRITID": "FRITID"}
_MEASURE = {"PLANLAGT": "10", "IGANGSETT": "20", "TIL_EVALUERING": "30", "MAL_NADD": "50"}
_EFFECT = {"GOD": "GOD", "NOKO": "DELVIS"}
_KEYS = {
    "aktorer": ("aktorId", "A"),
    "samtykker": ("samtykkeId", "S"),
    "bekymringer": ("bekymringId", "B"),
    "mal": ("malId", "M"),
    "tiltak": ("tiltakId", "T"),
    "evalueringer": ("evalueringId", "E"),
    "moter": ("moteId", "MO"),
    "journal": ("journalId", "J"),
    "overforinger": ("overforingId", "OV"),
    "avtaler": ("avtaleId", "AV"),
}

PAYLOAD = payload("json", {})


def record_id(tree: Json) -> str:
    """Return the id of the log in a tree, "" where it has none."""
    return str(tree.get("loggId", ""))


def stamp(tree: Json, now: datetime) -> None:
    """Note that the log was saved: its next number of changes and when, and ids for the rows that had none."""
    for rows, (key, prefix) in _KEYS.items():
        number_rows(tree.get(rows, []), key, prefix)
    tree["endringsnummer"] += 1
    tree["sistEndret"] = _moment(now)


def edit(tree: Json, rng: Random, now: datetime, number: int) -> bool:  # noqa: ARG001 - every system's edit is called alike
    """Let the contact person move the deadline of an own measure; False where there is none, or no active log."""
    own = [measure for measure in tree["tiltak"] if "kilde" not in measure]
    if tree["tilstand"] != "LØPENDE" or not own:
        return False
    measure = rng.choice(own)
    measure["frist"] = day(date.fromisoformat(measure["frist"]) + timedelta(days=rng.choice((7, 14, 21))))
    return True


def record(number: str, case: Case) -> Json:
    """Write a case as one whole log."""
    return {
        "dokumenttype": "STAFETTLOGG",
        "loggId": number,
        "endringsnummer": case.version,
        "sistEndret": _moment(case.changed),
        "tilstand": _STATES[case.status],
        "btiNiva": f"N{case.level}",
        "opprettetDato": day(case.opened),
        "opprettetAv": case.holder.name,
        "malform": "bokmal",
        "voldOvergrep": "N",
        "klient": {
            "klientnr": f"K-{number}",
            "type": "BARN",
            "navn": family_first(case.subject.name),
            "fnr": case.subject.national_id,
            "fodt": day(case.subject.born),
            "gradering": "UGRADERT",
        },
        "tjeneste": {"kontorId": "BV1", "navn": case.unit.name, "orgnr": case.unit.orgnr, "instans": "BVT"},
        "stafettholder": _worker(case.holder),
        **_lists(case),
        "lestAv": "intern-bruker-1",
    }


def _moment(at: datetime) -> str:
    return at.astimezone(_OSLO).isoformat(timespec="seconds")


def _worker(worker: Worker) -> Json:
    return {
        "navn": worker.name,
        "stilling": worker.title,
        "instans": _SERVICES[worker.unit.service],
        "enhet": worker.unit.name,
        "telefon": worker.phone,
        "epost": worker.email,
    }


def _lists(case: Case) -> Json:
    concerns = {concern: f"B{n}" for n, concern in enumerate(case.concerns, 1)}
    goals = {goal: f"M{n}" for n, goal in enumerate(case.goals, 1)}
    return {
        "omsorgspersoner": [_guardian(g, n) for n, g in enumerate(case.guardians, 1)],
        "samtykker": [_consent(c, n) for n, c in enumerate(case.consents, 1)],
        "bekymringer": [_concern(concern, key) for concern, key in concerns.items()],
        "mal": [_goal(goal, key, concerns) for goal, key in goals.items()],
        "tiltak": [_measure(m, n, goals) for n, m in enumerate(case.measures, 1)],
        "evalueringer": [
            _evaluation(told, n, place)
            for n, measure in enumerate(case.measures, 1)
            for place, told in enumerate(measure.evaluations, 1)
        ],
        "moter": [_meeting(m, n) for n, m in enumerate(case.meetings, 1)],
        "journal": [_note(note, n) for n, note in enumerate(case.notes, 1)],
    }


def _guardian(guardian: Guardian, number: int) -> Json:
    return {
        "omsorgId": f"O{number}",
        "navn": family_first(guardian.name),
        "fnr": guardian.national_id,
        "rolle": guardian.relation,
        "foreldreansvar": "J" if guardian.responsibility else "N",
        "bosted": "SAMMEN",
        "utestengt": "N",
        "gradering": "UGRADERT",
        "telefon": guardian.phone,
        "epost": guardian.email,
    }


def _consent(consent: Consent, number: int) -> Json:
    return {
        "samtykkeId": f"S{number}",
        "mottaker": _SERVICES[consent.to],
        "omfang": [_SCOPE[part] for part in consent.scope],
        "underskrifter": [{"navn": s.name, "rolle": s.role, "dato": day(s.on)} for s in consent.signed],
        "form": "DIG",
        "status": "GITT",
        "fraDato": day(consent.since),
        "barnetHort": "J" if consent.child_asked else "N",
    }


def _concern(concern: Concern, number: str) -> Json:
    told = {"bekymringId": number, "beskrivelse": concern.text, "tema": [_AREAS[area] for area in concern.areas]}
    return {**told, "dato": day(concern.on), "melder": concern.raised_by}


def _goal(goal: Goal, number: str, concerns: dict[Concern, str]) -> Json:
    concern = {"bekymringRef": concerns[goal.concern]} if goal.concern else {}
    return {"malId": number, "beskrivelse": goal.text, "status": "PÅGÅR", **concern}


def _measure(measure: Measure, number: int, goals: dict[Goal, str]) -> Json:
    name, service = measure.responsible
    return {
        "tiltakId": f"T{number}",
        "beskrivelse": measure.text,
        "arena": _ARENAS[measure.arena],
        "ansvarlig": {"navn": name, "instans": _SERVICES[service]},
        "iverksatt": day(measure.start),
        "frist": day(measure.due),
        "evalueresInnen": day(measure.evaluate_by),
        "statuskode": _MEASURE[measure.status],
        **({"malRef": goals[measure.goal]} if measure.goal else {}),
        "hjemmel": "frivillig",
    }


def _evaluation(told: Evaluation, measure: int, place: int) -> Json:
    return {
        "evalueringId": f"E{measure}-{place}",
        "tiltakRef": f"T{measure}",
        "dato": day(told.on),
        "virkning": _EFFECT[told.effect],
        "vurdering": told.text,
        "beslutning": "VID",
        "barnetsSyn": told.child_view,
    }


def _meeting(meeting: Meeting, number: int) -> Json:
    at = meeting.at.astimezone(_OSLO)
    return {
        "moteId": f"MO{number}",
        "motetype": "SAM",
        "dato": f"{at:%Y-%m-%d}",
        "klokkeslett": f"{at:%H:%M}",
        "sted": meeting.place,
        "dagsorden": meeting.agenda,
        "ledet": meeting.chair,
        "skrevet": meeting.secretary,
        "tilStede": "; ".join(meeting.attendees),
        "referat": meeting.minutes,
        "nesteDato": day(meeting.next_on),
    }


def _note(note: Note, number: int) -> Json:
    kind = "BARNESAMTALE" if note.kind == "SAMTALE" else "NOTAT"
    shown = {"egen": "INTERN", "barnets_stemme": "BARNET"}.get(note.part, "DELES")
    told = {"journalId": f"J{number}", "journaltype": kind, "skjerming": shown, "dato": day(note.on)}
    return {**told, "tekst": note.text, "forfatter": note.author}
