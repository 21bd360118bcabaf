"""A case as Visma Familia's assumed message: XML in bokmål with the header that child welfare's messages have."""

from datetime import datetime

from hub.payloads.registry import payload
from hub.sandbox.case import Case, Concern, Consent, Guardian, Json, Measure, Note
from hub.sandbox.municipality import MUNICIPALITY_NAME, MUNICIPALITY_ORGNR, made_up_uuid
from hub.sandbox.samspill_shape import day
from hub.sandbox.vigilo_shape import instant

_SERVICES = {"BARNEHAGE": "Barnehage", "SKULE": "Skole", "BARNEVERN": "Barnevern", "FAMILIE": "Foresatte"}
_SCOPE = {"PEDAGOGISK": "Barnehage_Skole", "HELSE": "Helse", "BARNETS_RØYST": "BarnetsMedvirkning"}
_AREAS = {"HEIM_OMSORG": "OmsorgHjemme", "NARVAR": "Fravar", "PSYKISK_HELSE": "PsykiskHelse"}
_ARENAS = {"BARNEHAGE": "Barnehage", "SKULE": "Skole", "HEIM": "Hjemmet", "FRITID": "Fritid"}
_RELATIONS = {"MOR": "Mor", "FAR": "Far"}
_CASE = "/bv:StafettloggMelding/bv:Sak"

PAYLOAD = payload(
    "xml",
    {
        "namespaces": {"bv": "urn:familia:melding:stafettlogg:1"},
        "lists": [
            f"{_CASE}/bv:Foresatte/bv:Foresatt",
            f"{_CASE}/bv:Samtykkeliste/bv:Samtykke",
            f"{_CASE}/bv:Samtykkeliste/bv:Samtykke/bv:Omfang/bv:Opplysning",
            f"{_CASE}/bv:Samtykkeliste/bv:Samtykke/bv:Signatur",
            f"{_CASE}/bv:Bekymringer/bv:Bekymring",
            f"{_CASE}/bv:Bekymringer/bv:Bekymring/bv:Tema",
            f"{_CASE}/bv:Tiltaksplan/bv:Mal",
            f"{_CASE}/bv:Tiltaksplan/bv:Hjelpetiltak",
            f"{_CASE}/bv:Tiltaksplan/bv:Evaluering",
            f"{_CASE}/bv:Journal/bv:Innforsel",
        ],
    },
)


def record_id(tree: Json) -> str:
    """Return the number of the case in a message, "" where it has none."""
    return str(tree.get("bv:StafettloggMelding", {}).get("bv:Sak", {}).get("bv:SakId", ""))


def stamp(tree: Json, now: datetime) -> None:
    """Make it another message: sent now, under an id of its own."""
    head = tree["bv:StafettloggMelding"]["bv:Meldingshode"]
    head["bv:Id"] = made_up_uuid(f"familia/{record_id(tree)}/{instant(now)}")
    head["bv:SendtTidspunkt"] = instant(now)


def record(number: str, case: Case) -> Json:
    """Write a case as one whole message."""
    return {"bv:StafettloggMelding": {"bv:Meldingshode": _head(number, case), "bv:Sak": _case(number, case)}}


def _head(number: str, case: Case) -> Json:
    return {
        "bv:Id": made_up_uuid(f"familia/{number}/{instant(case.changed)}"),
        "bv:Meldingstype": "Stafettlogg",
        "bv:FagsystemAvsender": {"bv:Leverandor": "Visma", "bv:Navn": "Familia", "bv:Versjon": "26.2"},
        "bv:SendtTidspunkt": instant(case.changed),
        "bv:Avsender": {"bv:Organisasjonsnummer": case.unit.orgnr, "bv:Navn": case.unit.name},
        "bv:Mottaker": {"bv:Organisasjonsnummer": MUNICIPALITY_ORGNR, "bv:Navn": MUNICIPALITY_NAME},
    }


def _case(number: str, case: Case) -> Json:
    child, holder = case.subject, case.holder
    return {
        "@versjon": str(case.version),
        "@voldOvergrep": "false",
        "bv:SakId": number,
        "bv:Saksstatus": "Apen",
        "bv:ApnetDato": day(case.opened),
        "bv:Barn": {
            "@status": "Barn",
            "bv:Fornavn": child.first_name,
            "bv:Etternavn": child.last_name,
            "bv:Fodselsnummer": child.national_id,
            "bv:Fodselsdato": day(child.born),
            "bv:Adressegradering": "Ugradert",
        },
        "bv:Kontaktperson": {
            "bv:Fornavn": holder.first_name,
            "bv:Etternavn": holder.last_name,
            "bv:Stilling": holder.title,
            "bv:Instans": _SERVICES[holder.unit.service],
            "bv:Telefon": holder.phone,
            "bv:Epost": holder.email,
        },
        "bv:Foresatte": {"bv:Foresatt": [_guardian(g, n) for n, g in enumerate(case.guardians, 1)]},
        "bv:Samtykkeliste": {"bv:Samtykke": [_consent(c, n) for n, c in enumerate(case.consents, 1)]},
        "bv:Bekymringer": {"bv:Bekymring": [_concern(c, n) for n, c in enumerate(case.concerns, 1)]},
        "bv:Tiltaksplan": _plan(case),
        "bv:Journal": {"bv:Innforsel": [_entry(note, n) for n, note in enumerate(case.notes, 1)]},
    }


def _guardian(guardian: Guardian, number: int) -> Json:
    first, _, last = guardian.name.partition(" ")
    return {
        "@sperret": "false",
        "bv:PersonId": f"F-{number}",
        "bv:Fornavn": first,
        "bv:Etternavn": last,
        "bv:Fodselsnummer": guardian.national_id,
        "bv:Relasjon": _RELATIONS[guardian.relation],
        "bv:HarForeldreansvar": "true",
        "bv:Bosted": "Sammen",
        "bv:Adressegradering": "Ugradert",
    }


def _consent(consent: Consent, number: int) -> Json:
    signed = [{"@rolle": _RELATIONS[s.role], "bv:Navn": s.name, "bv:Dato": day(s.on)} for s in consent.signed]
    return {
        "bv:SamtykkeId": f"SA-{number}",
        "bv:Instans": _SERVICES[consent.to],
        "bv:Omfang": {"bv:Opplysning": [_SCOPE[part] for part in consent.scope]},
        "bv:Signatur": signed,
        "bv:Form": "Elektronisk",
        "bv:Tilstand": "Gitt",
        "bv:GyldigFra": day(consent.since),
    }


def _concern(concern: Concern, number: int) -> Json:
    return {
        "bv:BekymringId": f"B-{number}",
        "bv:MottattDato": day(concern.on),
        "bv:Melder": concern.raised_by,
        "bv:Innhold": concern.text,
        "bv:Tema": [_AREAS[area] for area in concern.areas],
    }


def _plan(case: Case) -> Json:
    goals = {goal: f"M-{n}" for n, goal in enumerate(case.goals, 1)}
    return {
        "bv:Mal": [
            {"bv:MalId": key, "bv:Beskrivelse": goal.text, "bv:Tilstand": "Pagar"} for goal, key in goals.items()
        ],
        "bv:Hjelpetiltak": [
            _measure(m, f"T-{n}", goals[m.goal] if m.goal else None) for n, m in enumerate(case.measures, 1)
        ],
        "bv:Evaluering": [
            {
                "bv:EvalueringId": f"E-{n}",
                "bv:TiltakId": f"T-{n}",
                "bv:Dato": day(told.on),
                "bv:Virkning": "God" if told.effect == "GOD" else "Delvis",
                "bv:Vurdering": told.text,
                "bv:Konklusjon": "Videreforing",
                "bv:BarnetsMedvirkning": told.child_view,
            }
            for n, measure in enumerate(case.measures, 1)
            for told in measure.evaluations
        ],
    }


def _measure(measure: Measure, number: str, goal: str | None) -> Json:
    name, service = measure.responsible
    return {
        "bv:TiltakId": number,
        "bv:MalId": goal,
        "bv:Beskrivelse": measure.text,
        "bv:Arena": _ARENAS[measure.arena],
        "bv:Ansvarlig": {"bv:Navn": name, "bv:Instans": _SERVICES[service]},
        "bv:Startdato": day(measure.start),
        "bv:Sluttdato": day(measure.due),
        "bv:Evalueringsdato": day(measure.evaluate_by),
        "bv:Tilstand": "Iverksatt",
    }


def _entry(note: Note, number: int) -> Json:
    kind = {"egen": "Vedtaksutkast", "barnets_stemme": "Barnesamtale"}.get(note.part, "Samarbeidsnotat")
    told = {"bv:InnforselId": f"J-{number}", "bv:Type": kind, "bv:Dato": day(note.on)}
    return {**told, "bv:Forfatter": note.author, "bv:Tekst": note.text}
