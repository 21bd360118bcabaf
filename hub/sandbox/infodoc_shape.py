"""A case as the assumed dialogmelding from InfoDoc: one note for each thing said, the kind of it as a code.

Head and dialogmelding follow the published formats (hodemelding 1.2, dialogmelding 1.1); that a relay log is sent
so, and every code that begins with STL, is assumed.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from hub.payloads.registry import payload
from hub.sandbox.case import Case, Json, number_rows
from hub.sandbox.municipality import MUNICIPALITY_NAME, MUNICIPALITY_ORGNR, SCHOOLS, Unit, made_up_uuid
from hub.sandbox.samspill_shape import day

_OSLO = ZoneInfo("Europe/Oslo")
_AREAS = {"PSYKISK_HELSE": "Psykisk helse og trivsel", "FYSISK_HELSE": "Fysisk helse"}
_INFO = "/mh:MsgHead/mh:MsgInfo"
_REGISTER = "2.16.578.1.12.4.1.1.9051"

PAYLOAD = payload(
    "xml",
    {
        "namespaces": {
            "mh": "http://www.kith.no/xmlstds/msghead/2006-05-24",
            "dm": "http://www.kith.no/xmlstds/dialog/2013-01-23",
        },
        "lists": [
            f"{_INFO}/mh:Sender/mh:Organisation/mh:Organisation/mh:Ident",
            f"{_INFO}/mh:Receiver/mh:Organisation/mh:Organisation/mh:Ident",
            "/mh:MsgHead/mh:Document/mh:RefDoc/mh:Content/dm:Dialogmelding/dm:Notat",
        ],
    },
)


def record_id(tree: Json) -> str:
    """Return the id of the document in a message, "" where it has none."""
    return str(tree.get("mh:MsgHead", {}).get("mh:Document", {}).get("mh:RefDoc", {}).get("mh:Id", ""))


def stamp(tree: Json, now: datetime) -> None:
    """Make it another message: made now, under an id of its own, and with ids for the notes that had none."""
    content = tree["mh:MsgHead"]["mh:Document"]["mh:RefDoc"]["mh:Content"]
    number_rows(content["dm:Dialogmelding"]["dm:Notat"], "dm:DokIdNotat", "x")
    info = tree["mh:MsgHead"]["mh:MsgInfo"]
    info["mh:GenDate"] = _moment(now)
    info["mh:MsgId"] = made_up_uuid(f"infodoc/{record_id(tree)}/{_moment(now)}")


def record(number: str, case: Case) -> Json:
    """Write a case as one whole message."""
    content = {"dm:Dialogmelding": {"dm:SakstypeKodet": {"@V": "STL", "@DN": "Stafettlogg"}, "dm:Notat": _notes(case)}}
    document = {
        "mh:ContentDescription": "Stafettlogg",
        "mh:RefDoc": {
            "mh:IssueDate": {"@V": f"{case.changed:%Y-%m-%d}"},
            "mh:MsgType": {"@V": "XML", "@DN": "XML-instans"},
            "mh:Id": number,
            "mh:MimeType": "text/xml",
            "mh:Content": content,
        },
    }
    return {"mh:MsgHead": {"mh:MsgInfo": _info(number, case), "mh:Document": document}}


def _moment(at: datetime) -> str:
    return at.astimezone(_OSLO).isoformat(timespec="seconds")


def _info(number: str, case: Case) -> Json:
    child = case.subject
    kind = {"@V": "FNR", "@S": "2.16.578.1.12.4.1.1.8116", "@DN": "Fødselsnummer"}
    return {
        "mh:Type": {"@V": "DIALOG_NOTAT", "@DN": "Notat"},
        "mh:MIGversion": "v1.2 2006-05-24",
        "mh:GenDate": _moment(case.changed),
        "mh:MsgId": made_up_uuid(f"infodoc/{number}/{_moment(case.changed)}"),
        "mh:Ack": {"@V": "J", "@DN": "Ja"},
        "mh:Sender": {"mh:Organisation": _organisation(case.unit, "90001")},
        "mh:Receiver": {"mh:Organisation": _organisation(SCHOOLS[0], "90002")},
        "mh:Patient": {
            "mh:FamilyName": child.last_name,
            "mh:GivenName": child.first_name,
            "mh:DateOfBirth": day(child.born),
            "mh:Ident": {"mh:Id": child.national_id, "mh:TypeId": kind},
        },
    }


def _organisation(unit: Unit, her_id: str) -> Json:
    return {
        "mh:OrganisationName": MUNICIPALITY_NAME,
        "mh:Ident": _ident(MUNICIPALITY_ORGNR, "ENH", "Organisasjonsnummeret i Enhetsregisteret"),
        "mh:Organisation": {
            "mh:OrganisationName": unit.name,
            "mh:Ident": [
                _ident(her_id, "HER", "Identifikator fra Helsetjenesteenhetsregisteret"),
                _ident(unit.orgnr, "ENH", "Organisasjonsnummeret i Enhetsregisteret"),
            ],
        },
    }


def _ident(value: str, kind: str, words: str) -> Json:
    return {"mh:Id": value, "mh:TypeId": {"@V": kind, "@S": _REGISTER, "@DN": words}}


def _notes(case: Case) -> list[Json]:
    """Write concerns, goals, measures, evaluations and what the child said; each refers to what it is about."""
    concerns = {concern: f"b{n}" for n, concern in enumerate(case.concerns, 1)}
    goals = {goal: f"m{n}" for n, goal in enumerate(case.goals, 1)}
    measures = {measure: f"t{n}" for n, measure in enumerate(case.measures, 1)}
    told = [
        _note("BEKYMRING", key, c.text, c.on, "; ".join(_AREAS[area] for area in c.areas))
        for c, key in concerns.items()
    ]
    told += [
        _note("MAL", key, g.text, g.on, "I arbeid", concerns[g.concern] if g.concern else None)
        for g, key in goals.items()
    ]
    told += [
        _note("TILTAK", key, m.text, m.start, "Igangsatt", goals[m.goal] if m.goal else None)
        for m, key in measures.items()
    ]
    told += [
        _note("EVALUERING", f"e{key}", e.text, e.on, "Videreføre", key)
        for m, key in measures.items()
        for e in m.evaluations
    ]
    shared = [note for note in case.notes if note.part != "egen"]
    return [*told, *(_note(n.kind, f"n{place}", n.text, n.on) for place, n in enumerate(shared, 1))]


_NAMES = {
    "BEKYMRING": "Bekymring",
    "MAL": "Mål",
    "TILTAK": "Tiltak",
    "EVALUERING": "Evaluering",
    "NOTAT": "Notat",
    "LYSGLIMT": "Lysglimt",
    "SAMTALE": "Samtale med barnet",
}


def _note(kind: str, key: str, text: str, on: date, word: str | None = None, about: str | None = None) -> Json:
    return {
        "dm:TemaKodet": {"@V": f"STL_{kind}", "@DN": _NAMES[kind]},
        **({"dm:Tema": word} if word else {}),
        "dm:TekstNotatInnhold": text,
        **({"dm:Merknad": about} if about else {}),
        "dm:DokIdNotat": key,
        "dm:DatoNotat": day(on),
    }
