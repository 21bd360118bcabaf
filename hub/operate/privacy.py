"""The data protection officer's page: what the hub processes for one municipality, read out of its own configuration.

In bokmål, as Markdown. What a configuration can say (flows, readers, ceiling, rules, units) is read there, and what
lies in clear from the tables themselves, so that the page changes with them. What only a person can say is a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from hub.connectors import samspill
from hub.connectors.base import Spec
from hub.operate.settings import ConnectionSettings, TenantSettings
from hub.operate.settings.model import DatedRule, Role
from hub.relaylog.codes import Part, Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.sharing import Later, Sharing
from hub.store.tables import metadata

SEALED = ("sealed_", "wrapped_")
LATER: Mapping[Later, str] = {
    "from_consent": "det som skrives etter samtykket",
    "summary": "det som skrives etter, og en oversikt over det eldre uten tekst",
    "all": "alt",
}
YES, NO = "ja", "nei"
ASK = "*Ikke avgjort. Kommunen må skrive det inn.*"


def privacy_page(tenant: TenantSettings, day: date, specs: Mapping[str, Spec]) -> str:
    """Return the page as it is on a day. `specs` gives what each kind of system says of itself.

    What the configuration leaves open stands on the page as something to decide.
    """
    sharing = tenant.rule_on(Sharing, day) or Sharing()
    consent = tenant.rule_on(ConsentPolicy, day) or ConsentPolicy()
    written: tuple[str, ...] = (
        f"# Personvern: stafettlogger i {tenant.name}",
        _about(tenant, day),
        "## Protokoll over behandlingen\n\n" + _record(tenant, consent, sharing),
        "## Hvor opplysningene går\n\n" + _flows(tenant.connections, specs) + _reminders(tenant) + _plans(tenant),
        "## Delingstaket\n\n" + _ceiling(sharing),
        "## Samtykke\n\n" + _consent(consent),
        "## Reglene, og hvem som har bestemt dem\n\n" + _rules(tenant, day),
        "## Hvor lenge opplysningene blir liggende\n\n" + _retention(tenant),
        "## Hvem som gjør hva\n\n" + _roles() + "\n\n" + WHO_CHECKS,
        "## Hva som står i klartekst\n\n" + _clear(),
        "## Det huben ikke kan vite\n\n" + BY_WRITER,
        "## Innspill til vurdering av personvernkonsekvenser (DPIA)\n\n" + DPIA,
        "## Innspill til risikovurdering (ROS)\n\n" + RISKS,
    )
    return "\n\n".join(written) + "\n"


def _about(tenant: TenantSettings, day: date) -> str:
    return (
        f"Laget av `hub report privacy` av konfigurasjonen til {tenant.name} ({tenant.organisation_number}), med de "
        f"reglene som gjelder {_day(day)}. Lag den på nytt når konfigurasjonen endres. Siden er et grunnlag for "
        "personvernombudet. Den avgjør ikke om behandlingen er lovlig."
    )


def _record(tenant: TenantSettings, consent: ConsentPolicy, sharing: Sharing) -> str:
    basis, others = consent.legal_basis, {agreement.controller for agreement in sharing.agreements}
    rows = (
        ("Behandlingsansvarlig", tenant.controller),
        ("Andre behandlingsansvarlige med avtale", ", ".join(sorted(others)) or "ingen"),
        ("Formål", f"Samordne tjenestenes stafettlogger om samme barn, og arkivere dem {_archived_when(tenant)}"),
        ("Grunnlag etter artikkel 6", basis.article_6 if basis else ASK),
        ("Grunnlag etter artikkel 9", basis.article_9 if basis else ASK),
        ("Nasjonal hjemmel", basis.national_law if basis else ASK),
        ("Registrerte", "Barn, unge, gravide, foresatte, søsken og andre som er nevnt, og ansatte i tjenestene"),
        (
            "Opplysninger",
            "Navn, fødselsnummer, kontakt, sperre, samtykker, bekymringer, tiltak, møter; også om helse og barnevern",
        ),
        ("Mottakere", _services(reader for each in tenant.connections for reader in _readers(each)) or "ingen"),
        ("Overføring ut av EØS", "Huben sender bare til systemene under. Spør hver leverandør hvor de lagrer"),
        ("Sikkerhet", "Se «Hva som står i klartekst» og «Innspill til risikovurdering»"),
    )
    note = (
        "Samtykket i stafettloggen opphever taushetsplikten mellom tjenestene. Det er ikke grunnlaget for behandlingen."
    )
    return f"{_table(('Punkt', 'Innhold'), rows)}\n\n{note}"


def _archived_when(tenant: TenantSettings) -> str:
    months = tenant.archive.every_months if tenant.archive and tenant.folder_is_archive else None
    goes_on = "så lenge de er aktive eller på pause"
    before = {None: "", 1: f", og hver måned {goes_on}"}
    return "når de er avsluttet" + before.get(months, f", og hver {months}. måned {goes_on}")


def _flows(connections: Iterable[ConnectionSettings], specs: Mapping[str, Spec]) -> str:
    rows = (
        (
            each.name,
            f"{specs[each.system].title}, mal `{each.mapping}`",
            _services(each.services) or "ingen fast tjeneste",
            "enheten som loggen ligger på" if each.readers == "unit" else _services(each.readers),
            YES if each.deliver else NO,
            _origin(each, assumed=specs[each.system].assumed),
        )
        for each in connections
    )
    note = (
        "Alt huben leser, leses fra disse koblingene, og alt den sender, går til dem eller til arkivet. Et system får "
        "bare det alle leserne der kan se."
    )
    head = ("Kobling", "System", "Skriver der", "Leser der", "Huben sender dit", "Bekreftet med leverandøren")
    return f"{note}\n\n{_table(head, rows)}"


def _reminders(tenant: TenantSettings) -> str:
    """Tell of the e-mail that leaves, where the municipality has set it up."""
    if tenant.mail is None:
        return ""
    names = ", ".join(_cell(unit.name) for unit in tenant.units if unit.id in tenant.mail.remind)
    return (
        f"\n\nPå e-post, gjennom `{_cell(tenant.mail.host)}`, får disse enhetene påminnelser: {names}. De har tall og "
        "logg-id-er fra kontrollrunden, ingen navn og ingen tekst fra loggene."
    )


def _plans(tenant: TenantSettings) -> str:
    """Tell what a plan does that people ask the hub for, where a connection may make one."""
    made = [each.name for each in tenant.connections if isinstance(each.own, samspill.Settings) and each.own.plan]
    if not made:
        return ""
    return (
        f"\n\nIndividuelle planer kan opprettes gjennom {', '.join(made)} når en person ber om det. Da sendes navn og "
        "fødselsnummer på barnet, planens leder og dem som er krysset av, og ingenting annet av loggen. De får "
        "kontoer, og lederen får en varig rett til å opprette planer."
    )


def _origin(each: ConnectionSettings, *, assumed: bool) -> str:
    if each.confirmed:
        return f"{_cell(each.confirmed.by)}, {_day(each.confirmed.on)}"
    return "nei: virker bare mot sandkassa" if assumed else "ikke nødvendig, grensesnittet er publisert"


def _ceiling(sharing: Sharing) -> str:
    rows = (
        (
            part.nb,
            _services(ceiling.readers) or "ingen",
            YES if ceiling.must_be_named else NO,
            YES if ceiling.child_asked else NO,
            LATER[ceiling.later],
        )
        for part in Part
        if (ceiling := sharing.parts.get(part))
    )
    head = ("Del", "Kan nå", "Samtykket må nevne den", "Barnet må være spurt", "En tjeneste som kommer til, får")
    hidden = _services(sharing.hidden_services) or "ingen"
    return (
        "Taket er det meste et samtykke kan åpne. En del som ikke står her, når ingen.\n\n"
        f"{_table(head, rows)}\n\nTjenester som ikke engang nevnes for andre: {hidden}."
    )


def _consent(consent: ConsentPolicy) -> str:
    health, months = consent.health_alone_from, consent.months
    rows = (
        ("Forvalg som verdiene bygger på", consent.preset),
        ("Ungdommen samtykker sammen med de foresatte fra", f"{consent.youth_also_from} år"),
        ("Ungdommen samtykker alene fra", f"{consent.youth_alone_from} år"),
        ("Ungdommen åpner helsedelen alene fra", f"{health} år" if health else "aldri"),
        ("Alle med foreldreansvar må samtykke når de bor hver for seg", YES if consent.both_when_shared else NO),
        ("Nytt samtykke når stafettpinnen går til en annen", YES if consent.renew_at_transition else NO),
        ("Et samtykke uten sluttdato varer", f"{months} måneder" if months else "til det trekkes"),
    )
    return _table(("Regel", "Verdi"), rows)


def _rules(tenant: TenantSettings, day: date) -> str:
    """List every rule set that has begun, also those that newer ones have taken over for."""

    def row(rule: DatedRule) -> tuple[str, ...]:
        return f"`rules/{rule.name}.yaml`", _day(rule.valid_from), _cell(rule.source), _cell(rule.decided_by)

    begun = sorted((rule for rule in tenant.rules if rule.valid_from <= day), key=lambda rule: rule.name)
    return _table(("Fil", "Gjelder fra", "Kilde", "Bestemt av"), map(row, begun)) if begun else ASK


def _retention(tenant: TenantSettings) -> str:
    archive = tenant.archive
    kept = "ikke satt opp" if archive is None else "lesbar" if archive.plain else "kryptert til kommunens nøkkel"
    wiped = "Blir liggende: `wipe_after` er ikke satt"
    if tenant.wipe_after:
        wiped = f"Slettet tidligst {tenant.wipe_after / timedelta(days=1):g} dager etter arkivets siste bevis"
    rows = (
        ("Aktiv logg", "Forseglet i huben så lenge den er aktiv, og til arkivet har bevist at det har den"),
        ("Arkivert logg", wiped),
        ("Logg som verken kan deles eller arkiveres", "Ikke tatt vare på: bare nøklet id, sum og status"),
        ("Det som sendes", "Forseglet til mottakeren har kvittert, så slettet"),
        ("Karantene", "Forseglet til posten er tatt inn, eller barnets siste logg er slettet"),
        ("Krav om rettigheter", "Ordene forseglet med loggens nøkkel; hvem, når, hjemmel og utfall blir stående"),
        ("Hendelser", "Blir liggende: hvem som gjorde hva når, med id-er, tall og koder"),
        ("Arkivpakken", f"Arkivets egne regler. Mappa er {kept}"),
        (
            "Sikkerhetskopier",
            "Kommunens egen rutine. En slettet logg står i kopien til den går ut, og `hub restore` sletter den igjen",
        ),
    )
    note = "En logg slettes ved at nøkkelen dens slettes. Det som er forseglet med den, kan aldri åpnes igjen."
    return f"{_table(('Hva', 'Hvor lenge'), rows)}\n\n{note}"


def _roles() -> str:
    rows = ((f"{ROLES[role][0]} (`{role}`)", *ROLES[role][1:]) for role in Role)
    return _table(("Rolle", "Gjør", "Ser om barnet"), rows)


def _clear() -> str:
    """List every column that is not sealed, with the comment that its table gives it."""
    rows = (
        (f"`{table.name}`", f"`{column.name}`", _cell(column.comment or ""))
        for table in metadata.sorted_tables
        for column in table.columns
        if not column.name.startswith(SEALED)
    )
    note = (
        "Alt som forteller om et barn, er forseglet med loggens egen nøkkel (AES-256-GCM), som er pakket inn i "
        "kommunens nøkkel utenfor databasen. Dette er det som ikke er forseglet. Forklaringene er tabellenes egne, på "
        "engelsk."
    )
    return f"{note}\n\n{_table(('Tabell', 'Kolonne', 'Hva det er'), rows)}"


def _services(services: Iterable[Service]) -> str:
    return ", ".join(sorted({service.nb for service in services}))


def _readers(each: ConnectionSettings) -> Iterable[Service]:
    return each.services if each.readers == "unit" else each.readers


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


ROLES: Mapping[Role, tuple[str, str, str]] = {
    Role.OPERATOR: ("IT-drift", "Driver huben, og avgjør karantene, leveranser og avvik", "ingenting"),
    Role.HOLDER: (
        "Stafettholder",
        "Avgjør det som venter på holderen i egne logger, flytter stafettpinnen, ber om individuell plan",
        "egne logger: verdiene i en konflikt, grunnen til en stopp, ordene i et krav, og papirene av loggen",
    ),
    Role.UNIT_LEADER: (
        "Enhetsleder",
        "Avgjør det som venter på lederen eller stafettholderen i egne enheter, og krav om rettigheter; kontrollrunder",
        "det samme, for loggene i egne enheter",
    ),
    Role.CASE_READER: (
        "Saksleser",
        "Leser logger til et oppgitt formål, og skriver ned krav om rettigheter",
        "verdiene i en konflikt, ordene i et krav og papirene, for loggene rollen gjelder; ikke grunnen til en stopp",
    ),
    Role.RULE_OWNER: (
        "Regelansvarlig",
        "Avgjør det som reglene om vold, sperre og barnevern stopper, og krav om rettigheter",
        "grunnen til en stopp, med formål",
    ),
    Role.ARCHIVIST: (
        "Arkivansvarlig",
        "Slipper fram logger til arkivet, avsluttede og periodiske, og bestemmer koder",
        "grunnen til en stopp, med formål; pakken i arkivet",
    ),
    Role.DATA_PROTECTION_OFFICER: (
        "Personvernombud",
        "Kontrollrunder, hva et brudd nådde, hvem som har åpnet en logg; følger krav om rettigheter uten å avgjøre dem",
        "ingenting av innholdet",
    ),
    Role.AUDITOR: ("Revisor", "Hva et brudd nådde, og hvem som har åpnet en logg", "ingenting av innholdet"),
    Role.ADMINISTRATOR: (
        "Administrator",
        "Styrer brukere og oppsett i filene; huben spør ikke etter rollen",
        "ingenting",
    ),
}
"""What each role is called, what it does and what it sees of a child."""

WHO_CHECKS = (
    "Huben spør etter rollen i `roles.yaml` før den åpner noe for en person, lar noen avgjøre, eller lager en "
    "kontrollrunde, et innsyn eller en oversikt over et brudd. Å åpne en logg og å bli avvist blir hendelser. Uten "
    "`roles.yaml` slipper ingen til, unntatt i en sandkasse. Tekst fra helse og barnevern åpnes bare for den som har "
    "fått det særskilt (`parts`).\n\n"
    "Men huben har ingen innlogging: den tror på bruker-id-en som står etter `--who`. Den som kan kjøre kommandoer på "
    "maskinen, kan skrive en annens id, og det som driver huben (`hub sync`, `pause`, `wipe`, `backup`, `keys` og mer) "
    "krever ingen rolle. Kommunen må styre tilgangen til maskinen, til `roles.yaml` og til nøkkelen."
)

BY_WRITER = (
    "Huben merker tekst etter hvem som skrev den, ikke etter hva den handler om. Skriver en lærer om helsa til et barn "
    "i et vanlig tiltak, går teksten som «Barnehage og skole», så langt delingstaket åpner for det. Malens egne felt "
    "kan gjøre delen strengere. Huben leser aldri fritekst for å finne vold, helse eller søsken: et menneske, eller et "
    "felt i malen, må merke det.\n\n"
    "Huben vet heller ikke hvem som har tilgang inne i hvert fagsystem. «Leser der» er kommunens eget svar."
)

DPIA = _table(
    ("Spørsmål", "Det huben kan si", "Det kommunen må svare på"),
    (
        (
            "Er det nødvendig?",
            "Bare endrede felt sendes, og bare til mottakere med samtykke",
            "Hvorfor hver tjeneste er med",
        ),
        ("Stort omfang, sårbare?", "Ja: barn, helse og barnevern", "Hvor mange barn"),
        ("Kobles kilder?", "Ja: like, bekreftede fødselsnumre. Ellers spørres en person", "Hvem som svarer"),
        (
            "Rettigheter",
            "`hub rights` følger hvert krav til det er gjennomført; `hub report shared` viser hva som er delt med hvem",
            "Hvem som tar imot krav, avgjør og gir svar",
        ),
        (
            "Trukket samtykke",
            "Stopper sendingen straks. Det som er sendt, står i mottakerens system",
            "Hvem som ber om sletting",
        ),
        (
            "Adressesperre, vold",
            "Stopper til en person har avgjort. Ukjent er ikke det samme som nei",
            "Hvem som avgjør",
        ),
        ("Databehandlere", "Huben har ingen egne", "Avtaler med drift og leverandører"),
    ),
)

RISKS = _table(
    ("Hva som kan skje", "Hva huben gjør", "Det som er igjen"),
    (
        ("Databasen eller kopien kommer på avveie", "Innholdet er forseglet", "Det som står i klartekst; nøkkelfila"),
        ("Nøkkelfila blir borte", "Ingenting kan leses", "Kopi i kommunens hvelv, utenfor sikkerhetskopien"),
        (
            "Noe sendes til feil mottaker",
            "Reglene spørres på nytt rett før sending; `hub report breach`",
            "Feil i «Leser der»",
        ),
        ("To barn blandes", "Bare bekreftede numre kobler; ellers et forslag", "Feil nummer i fagsystemet"),
        (
            "Et system bruker fødselsnummer som id på poster eller rader",
            "Posten tas ikke inn: den går til karantene, og nummeret blir ikke stående som id",
            "Navn og annet som røper noen i en id, kjenner huben ikke igjen. Slike systemer må ikke kobles til",
        ),
        ("Noe går tapt", "Hver leveranse står til kvittering; daglig telling", "Feil som to systemer er enige om"),
        (
            "Opplysninger havner i loggen",
            "Bare faste nøkler, id-er, tall og koder slipper gjennom",
            "Id-er som selv er navn",
        ),
        (
            "Noen ser det de ikke skal",
            "Å åpne en logg krever en rolle og blir en hendelse",
            "Uten innlogging må kommunen styre rollene og maskinen",
        ),
    ),
)
