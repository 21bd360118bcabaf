"""Words that vendors and forms use for what the relay log holds, beside its labels. Small letters, signs left out."""

from __future__ import annotations

COLLECTION_WORDS: dict[str, frozenset[str]] = {
    "guardians": frozenset({"foresatt", "føresett", "foreldre", "familie", "family", "parents", "guardian", "verger"}),
    "relatives": frozenset({"søsken", "sysken", "siblings", "relatives"}),
    "parties": frozenset({"deltaker", "deltakar", "participant", "instanser", "parter", "deltakarane", "deltakerne"}),
    "services": frozenset({"tjenester", "tenester", "services"}),
    "consents": frozenset({"samtykke", "samtykker", "consent"}),
    "concerns": frozenset({"bekymringer", "uro", "uroer", "undring", "concerns", "observasjoner"}),
    "goals": frozenset({"mål", "maal", "mal", "delmål", "målsettinger", "goal", "objectives"}),
    "measures": frozenset({"tiltak", "tiltaka", "tiltakene", "activities", "actions", "aktiviteter", "measure"}),
    "evaluations": frozenset({"vurdering", "vurderinger", "evaluering", "evalueringar", "evaluation"}),
    "meetings": frozenset({"møte", "møter", "møta", "moter", "mote", "meeting", "møtereferat"}),
    "notes": frozenset({"notat", "notater", "merknader", "journal", "note", "logg", "entries"}),
    "handovers": frozenset({"overføring", "overføringer", "overføringar", "overforing", "handover"}),
    "agreements": frozenset({"avtale", "avtaler", "avtalar", "agreement"}),
    "attachments": frozenset({"vedlegg", "dokumenter", "files", "attachment"}),
}
"""Lists of records, by the list of the relay log that they may be."""

ABOUT: dict[str, tuple[str, ...]] = {
    "subject": ("barn", "child", "elev", "person", "bruker", "brukar", "mainperson", "ungdom", "pasient", "subject"),
    "holder": ("stafettho", "stafettha", "holder", "haldar", "planlead", "lead", "koordinator", "kontaktperson"),
    "unit": ("enhet", "eining", "unit", "affiliation", "barnehage", "skole", "skule", "avdeling"),
    "closure": ("avslutning", "avslutting", "avslut", "closing", "closure"),
    "template": ("mal", "template", "skjema"),
    "source": ("logg", "log", "plan", "sak", "record", "id"),
    "responsible": ("ansvarlig", "ansvarleg", "responsible", "utfører", "utførar"),
    "from_holder": ("fra", "frå", "from"),
    "to_holder": ("til", "to"),
}
"""What a name says that the value belongs to, by the owner's canonical name. Beginnings of words."""

FIELD_WORDS: dict[str, frozenset[str]] = {
    "id": frozenset({"id", "guid", "uuid", "nr", "loggid", "logid", "planid", "saksid", "saksnr", "recordid"}),
    "version": frozenset({"versjon", "versjonsnr"}),
    "name": frozenset({"fulltnavn", "fulltnamn", "fullname", "personnavn"}),
    "national_id": frozenset({"fnr", "fødselsnr", "fodselsnummer", "personnummer", "nationalid", "fødselsnummer11"}),
    "birth_date": frozenset({"født", "fødd", "fodt", "fodd", "fodselsdato", "birthdate", "dateofbirth", "born"}),
    "due_date": frozenset({"termin", "duedate"}),
    "phone": frozenset({"tlf", "telefonnummer", "mobil", "mobile", "phonenumber", "tlfnr"}),
    "email": frozenset({"epost", "email", "mail", "epostadresse"}),
    "title": frozenset({"tittel", "rolle", "yrke", "stillingstittel"}),
    "unit": frozenset({"arbeidssted", "arbeidsstad", "barnehage", "skole", "skule", "avdeling"}),
    "organisation_number": frozenset({"orgnr", "orgnummer", "organisationnumber"}),
    "status": frozenset({"tilstand", "state", "statuskode"}),
    "level": frozenset({"nivå", "niva", "btinivå", "btilevel"}),
    "opened_on": frozenset({"oppretta", "opprettet", "opprettetdato", "created", "createdon", "startdato", "åpnet"}),
    "changed_at": frozenset({"endra", "endret", "sistendret", "sistendra", "changed", "updated", "modified"}),
    "text": frozenset({"tekst", "skildring", "beskrivelse", "innhold", "innhald", "description", "kommentar"}),
    "on": frozenset({"dato", "date", "dag"}),
    "deadline": frozenset({"frist", "dueon", "tidsfrist"}),
    "starts_on": frozenset({"start", "startdato", "startson", "fradato"}),
    "evaluate_by": frozenset({"evalueres", "evaluerast", "evalueringsdato"}),
    "starts_at": frozenset({"tidspunkt", "starttid", "møtetid", "startsat"}),
    "from_on": frozenset({"fradato", "fom"}),
    "to_on": frozenset({"tildato", "tom"}),
    "relation": frozenset({"slektskap", "tilknytning", "relasjonstype"}),
    "reason": frozenset({"årsak", "grunn", "begrunnelse", "grunngiving"}),
    "child_view": frozenset({"barnetsstemme", "barnetssyn", "barnetsmening", "barnetsrøyst"}),
}
"""Names of single values, by the last step of the canonical path."""

KEYS = frozenset({"id", "nr", "key", "guid", "uuid", "nøkkel", "nykel", "løpenr", "radid"})
"""What the key of a row is called."""

FIRST_NAMES = frozenset({"fornavn", "fornamn", "firstname", "givenname"})
LAST_NAMES = frozenset({"etternavn", "etternamn", "lastname", "familyname", "surname"})
"""Halves of a name, that are joined to a whole one."""
