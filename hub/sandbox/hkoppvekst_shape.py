"""A case as HK Oppvekst's assumed CSV set: nynorsk columns, semicolons, Windows-1252, a row of a sidecar for each log.

A real export holds many logs in one zip; the store holds each log as a set of its own.
"""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.payloads.csv import CsvPayload
from hub.payloads.zips import pack
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
    Participant,
    family_first,
    number_rows,
    words,
)
from hub.sandbox.vigilo_shape import day

_OSLO = ZoneInfo("Europe/Oslo")
_COLUMNS = {
    "logg": words(
        "LoggID Dokumenttype Malversjon Status Nivå Steg Oppretta OpprettaAv SistLagra Målform VoldOvergrep Gjeld "
        "Førenamn Etternamn Fødd Trinn Adressegradering Tolk Kontor KontorTeneste StafetthaldarNamn "
        "StafetthaldarStilling StafetthaldarTeneste StafetthaldarEining StafetthaldarTelefon StafetthaldarEpost "
        "AvsluttaÅrsak AvsluttaGrunn AvsluttaAv VidareTil Saksnummer"
    ),
    "metadata": words("external_id nin name documentTitle documentDate unit_orgnr closed_date"),
    "foresett": words(
        "ForesettID LoggID Namn Fødselsnummer Relasjon Foreldreansvar Bustad Utestengd Adressegradering Telefon Epost"
    ),
    "deltakar": words("DeltakarID LoggID Namn Stilling Teneste Eining Telefon Epost Oppgåve Rolle Frå Til"),
    "samtykke": words("SamtykkeID LoggID Mottakar Omfang Form Status GyldigFrå GyldigTil Trekt BarnetSpurt"),
    "underskrift": words("SamtykkeID Namn Rolle Dato"),
    "uro": words("UroID LoggID Skildring Utviklingsområde Dato MeldtAv"),
    "mål": words("MålID LoggID Skildring Status UroID"),
    "tiltak": words(
        "TiltakID LoggID Skildring Arena Ansvarleg AnsvarlegTeneste Start Frist Vurderingsfrist Status MålID"
    ),
    "vurdering": words("VurderingID LoggID TiltakID Dato Effekt Vurdering Avgjerd Deltok BarnetSyn"),
    "møte": words("MøteID LoggID Møtetype Dag Klokka Stad Dagsorden Møteleiar Referent TilStades Referat NesteMøte"),
    "notat": words("NotatID LoggID Skjerming Dato Type Tekst Forfattar"),
    "overføring": words(
        "OverføringID LoggID Frå FråTeneste Til TilTeneste Tilbode Svar SvarDato Grunngjeving BarnetØnskje"
    ),
    "avtale": words("AvtaleID LoggID Avtale Dato Partar"),
}
_KEYS = {
    "foresett": "F",
    "deltakar": "D",
    "samtykke": "S",
    "uro": "U",
    "mål": "M",
    "tiltak": "T",
    "vurdering": "V",
    "møte": "MØ",
    "notat": "N",
    "overføring": "O",
    "avtale": "A",
}
"""How the ids of a file's rows go on after the log's: they must be unique in the whole set."""
_PARENTS = {"logg": "", "metadata": "logg/external_id", "underskrift": "samtykke/SamtykkeID"}
_SERVICES = {
    "BARNEHAGE": "Barnehage",
    "SKULE": "Skule",
    "HELSESTASJON": "Helsestasjon",
    "PPT": "PPT",
    "FAMILIE": "Familien",
}
_SCOPE = {
    "PEDAGOGISK": "Barnehage og skule",
    "PPT": "PPT",
    "HELSE": "Helse",
    "BARNETS_RØYST": "Barnet si eiga røyst",
}
_AREAS = {
    "SPRAK": "Språk og kommunikasjon",
    "LARING": "Læring og skulefag",
    "ATFERD": "Åtferd og regulering",
    "SOSIAL": "Sosial kompetanse og samspel",
}
_ARENAS = {"BARNEHAGE": "Barnehage", "SKULE": "Skule", "HEIM": "Heim", "FRITID": "Fritid"}
_MEASURE = {"IGANGSETT": "Igangsett", "PLANLAGT": "Planlagt", "MAL_NADD": "Avslutta, mål nådd"}
_EFFECT = {"GOD": "God", "NOKO": "Noko"}
_ROLES = {"MOR": "Mor", "FAR": "Far"}


def _file(stem: str) -> Json:
    key, parent = _COLUMNS[stem][0], _PARENTS.get(stem, "logg/LoggID")
    keyed = {} if stem in ("metadata", "underskrift") else {"key": key}
    return keyed | ({"parent": parent} if parent else {})


_SET = CsvPayload({"delimiter": "semicolon", "encoding": "cp1252", "files": {stem: _file(stem) for stem in _COLUMNS}})
_HEADERS = pack({f"{stem}.csv": f"{';'.join(names)}\r\n".encode("cp1252") for stem, names in _COLUMNS.items()})


class OneLog:
    """A set with one log, and nothing but the headings of what it lacks."""

    def decode(self, data: bytes) -> Json:
        """Read the only log of a set. Raises PayloadError, also where there are none or several."""
        ((_, tree),) = _SET.decode_set(data)
        return tree

    def encode(self, tree: Json, original: bytes | None) -> bytes:
        """Write one log as a set of its own, on another set of it where there is one."""
        return _SET.encode_set([(record_id(tree), tree)], original or _HEADERS)


PAYLOAD = OneLog()


def bundle(sets: Iterable[bytes]) -> bytes:
    """Write several sets as one: what a nightly export of the system is."""
    return _SET.encode_set([log for data in sets for log in _SET.decode_set(data)], _HEADERS)


def record_id(tree: Json) -> str:
    """Return the id of the log in a tree, "" where it has none."""
    return str(tree.get("logg", {}).get("LoggID") or "")


def stamp(tree: Json, now: datetime) -> None:
    """Note in log and sidecar when the log was saved, and give ids to the rows that had none."""
    for stem, prefix in _KEYS.items():
        number_rows(tree["logg"].get(stem, []), _COLUMNS[stem][0], f"{record_id(tree)}-{prefix}")
    tree["logg"]["SistLagra"] = _moment(now)
    for row in tree["logg"]["metadata"]:
        row["documentDate"] = f"{now.astimezone(_OSLO):%Y-%m-%d}"


def record(number: str, case: Case) -> Json:
    """Write a case as one log with its rows."""
    return {"logg": {**_frame(number, case), **_closed(case), **_lists(number, case)}}


def _moment(at: datetime) -> str:
    return f"{at.astimezone(_OSLO):%d.%m.%Y %H:%M}"


def _frame(number: str, case: Case) -> Json:
    return {
        "LoggID": number,
        "Dokumenttype": "Stafettlogg",
        "Malversjon": "2",
        "Status": "Avslutta" if case.closing else "Aktiv",
        "Nivå": f"Nivå {case.level}",
        "Steg": case.step,
        "Oppretta": day(case.opened),
        "OpprettaAv": case.holder.name,
        "SistLagra": _moment(case.changed),
        "Målform": "Nynorsk",
        "VoldOvergrep": "Nei",
        "Gjeld": "Barn",
        "Førenamn": case.subject.first_name,
        "Etternamn": case.subject.last_name,
        "Fødd": day(case.subject.born),
        "Adressegradering": "Ugradert",
        "Kontor": case.unit.name,
        "KontorTeneste": _SERVICES[case.unit.service],
        "StafetthaldarNamn": case.holder.name,
        "StafetthaldarStilling": case.holder.title,
        "StafetthaldarTeneste": _SERVICES[case.holder.unit.service],
        "StafetthaldarEining": case.holder.unit.name,
        "StafetthaldarTelefon": case.holder.phone,
        "StafetthaldarEpost": case.holder.email,
        "Saksnummer": f"{case.opened.year}/{case.opened.timetuple().tm_yday}",
    }


def _closed(case: Case) -> Json:
    if case.closing is None:
        return {}
    return {"AvsluttaÅrsak": "Mål nådd", "AvsluttaGrunn": case.closing.text, "AvsluttaAv": "Føresette"}


def _lists(number: str, case: Case) -> Json:
    concerns = {concern: f"{number}-U{n}" for n, concern in enumerate(case.concerns, 1)}
    goals = {goal: f"{number}-M{n}" for n, goal in enumerate(case.goals, 1)}
    measures = {measure: f"{number}-T{n}" for n, measure in enumerate(case.measures, 1)}
    lists = {
        "foresett": [_guardian(guardian) for guardian in case.guardians],
        "deltakar": [_participant(participant) for participant in case.participants],
        "samtykke": [_consent(consent) for consent in case.consents],
        "uro": [_concern(concern) for concern in concerns],
        "mål": [_goal(goal, concerns) for goal in goals],
        "tiltak": [_measure(measure, goals) for measure in measures],
        "vurdering": [_evaluation(told, key) for measure, key in measures.items() for told in measure.evaluations],
        "møte": [_meeting(meeting) for meeting in case.meetings],
        "notat": [_note(note) for note in case.notes],
    }
    for stem, rows in lists.items():
        number_rows(rows, _COLUMNS[stem][0], f"{number}-{_KEYS[stem]}")
    return {"metadata": [_sidecar(case)], **lists}


def _sidecar(case: Case) -> Json:
    return {
        "nin": case.subject.national_id,
        "name": case.subject.name,
        "documentTitle": "Stafettlogg",
        "documentDate": f"{case.changed.astimezone(_OSLO):%Y-%m-%d}",
        "unit_orgnr": case.unit.orgnr,
        "closed_date": f"{case.closing.on:%Y-%m-%d}" if case.closing else None,
    }


def _guardian(guardian: Guardian) -> Json:
    return {
        "Namn": family_first(guardian.name),
        "Fødselsnummer": guardian.national_id,
        "Relasjon": _ROLES[guardian.relation],
        "Foreldreansvar": "Ja" if guardian.responsibility else "Nei",
        "Bustad": "Foreldra bur saman",
        "Utestengd": "Nei",
        "Adressegradering": "Ugradert",
        "Telefon": guardian.phone,
        "Epost": guardian.email,
    }


def _participant(participant: Participant) -> Json:
    worker = participant.worker
    return {
        "Namn": worker.name,
        "Stilling": worker.title,
        "Teneste": _SERVICES[worker.unit.service],
        "Eining": worker.unit.name,
        "Telefon": worker.phone,
        "Epost": worker.email,
        "Oppgåve": participant.task,
        "Frå": day(participant.since),
    }


def _consent(consent: Consent) -> Json:
    return {
        "Mottakar": _SERVICES[consent.to],
        "Omfang": ", ".join(_SCOPE[part] for part in consent.scope),
        "Form": "Digitalt",
        "Status": "Gitt",
        "GyldigFrå": day(consent.since),
        "BarnetSpurt": "Ja" if consent.child_asked else "Nei",
        "underskrift": [{"Namn": s.name, "Rolle": _ROLES[s.role], "Dato": day(s.on)} for s in consent.signed],
    }


def _concern(concern: Concern) -> Json:
    areas = ", ".join(_AREAS[area] for area in concern.areas)
    told = {"Skildring": concern.text, "Utviklingsområde": areas}
    return {**told, "Dato": day(concern.on), "MeldtAv": concern.raised_by}


def _goal(goal: Goal, concerns: dict[Concern, str]) -> Json:
    status = "Nådd" if goal.status == "NADD" else "I arbeid"
    concern = concerns[goal.concern] if goal.concern else None
    return {"Skildring": goal.text, "Status": status, "UroID": concern}


def _measure(measure: Measure, goals: dict[Goal, str]) -> Json:
    name, service = measure.responsible
    return {
        "Skildring": measure.text,
        "Arena": _ARENAS[measure.arena],
        "Ansvarleg": name,
        "AnsvarlegTeneste": _SERVICES[service],
        "Start": day(measure.start),
        "Frist": day(measure.due),
        "Vurderingsfrist": day(measure.evaluate_by),
        "Status": _MEASURE[measure.status],
        "MålID": goals[measure.goal] if measure.goal else None,
    }


def _evaluation(told: Evaluation, measure: str) -> Json:
    return {
        "TiltakID": measure,
        "Dato": day(told.on),
        "Effekt": _EFFECT[told.effect],
        "Vurdering": told.text,
        "Avgjerd": "Vidareføre",
        "BarnetSyn": told.child_view,
    }


def _meeting(meeting: Meeting) -> Json:
    at = meeting.at.astimezone(_OSLO)
    return {
        "Møtetype": "Samarbeidsmøte",
        "Dag": f"{at:%d.%m.%Y}",
        "Klokka": f"{at:%H:%M}",
        "Stad": meeting.place,
        "Dagsorden": meeting.agenda,
        "Møteleiar": meeting.chair,
        "Referent": meeting.secretary,
        "TilStades": ", ".join(meeting.attendees),
        "Referat": meeting.minutes,
        "NesteMøte": day(meeting.next_on),
    }


def _note(note: Note) -> Json:
    kind = "Samtale med barnet" if note.kind == "SAMTALE" else "Notat"
    shown = {"egen": "Internt", "barnets_stemme": "Barnet"}.get(note.part, "Delast")
    told = {"Skjerming": shown, "Dato": day(note.on), "Type": kind}
    return {**told, "Tekst": note.text, "Forfattar": note.author}
