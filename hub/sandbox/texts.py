"""The sentences of the stories: short, invented, nynorsk where Vigilo's users write and bokmål where Samspill's do.

A theme is one worry with what is done about it. The last banks stand apart and are used nowhere else, so that a test
can search for them where they must never arrive.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """A concern, its goal, measures as (arena, text), what an evaluation says and what the child thinks of it."""

    areas: tuple[str, ...]
    concern: str
    goal: str
    measures: tuple[tuple[str, str], ...]
    evaluation: str
    child_view: str


KINDERGARTEN = (
    Theme(
        ("SPRAK",),
        "Brukar få ord samanlikna med jamaldringane og peikar meir enn det blir sagt noko.",
        "Seier setningar med tre ord i leiken.",
        (
            ("BARNEHAGE", "Språkgruppe med tre barn to gonger i veka."),
            ("HEIM", "Les saman kvar kveld og snakkar om bileta."),
            ("BARNEHAGE", "Vaksne set ord på det barnet gjer i garderoben."),
        ),
        "Barnet deltek meir og brukar fleire verb.",
        "Likar boka om traktoren best.",
    ),
    Theme(
        ("LEIK", "SOSIAL"),
        "Går mykje åleine ute og blir ståande og sjå på leiken til dei andre.",
        "Er med i leik med minst to andre kvar dag.",
        (
            ("BARNEHAGE", "Leikegruppe på fire med ein fast vaksen."),
            ("BARNEHAGE", "Vaksen støttar inngangen til leiken ute."),
            ("FRITID", "Foreldra bed heim eitt barn frå gruppa annankvar veke."),
        ),
        "Tek oftare kontakt sjølv, men treng hjelp når leiken skifter.",
        "Vil leike butikk fleire dagar.",
    ),
    Theme(
        ("MOTORIKK",),
        "Snublar ofte og vel bort klatring og sykling.",
        "Går opp og ned trappa utan støtte.",
        (
            ("BARNEHAGE", "Turgruppe i ulendt terreng kvar tysdag."),
            ("BARNEHAGE", "Hinderløype i rørslerommet før måltidet."),
            ("HEIM", "Går til barnehagen i staden for å køyre når det lèt seg gjere."),
        ),
        "Held balansen betre og prøver fleire gonger på rad.",
        "Er stolt over å ha kome til toppen av haugen.",
    ),
    Theme(
        ("ATFERD",),
        "Blir lett sint i overgangar og slår når leiken blir avbroten.",
        "Greier tre av fire overgangar i løpet av dagen utan uro.",
        (
            ("BARNEHAGE", "Dagtavle med bilete og varsel fem minutt før skifte."),
            ("BARNEHAGE", "Same vaksen følgjer frå leik til samling."),
            ("HEIM", "Same ord for det som skal skje, heime og i barnehagen."),
        ),
        "Færre utbrot, lettast når dagtavla er gjennomgått om morgonen.",
        "Synest det er fint å flytte brikka sjølv.",
    ),
    Theme(
        ("HEIM_OMSORG",),
        "Er ofte trøytt og svolten når dagen tek til.",
        "Møter utkvilt og har ete frukost fire av fem dagar.",
        (
            ("BARNEHAGE", "Frukost i lag med ein fast vaksen ved levering."),
            ("HEIM", "Fast leggjetid som foreldra skriv opp ei veke om gongen."),
            ("BARNEHAGE", "Roleg krok etter lunsj."),
        ),
        "Meir opplagd dei dagane rutinen er følgd.",
        "Vil ha brødskive med ost.",
    ),
)

SCHOOL = (
    Theme(
        ("LARING",),
        "Heng etter i lesing og gjev opp når teksten er lang.",
        "Les ei side høgt med flyt før påske.",
        (
            ("SKULE", "Lesekurs i liten gruppe fire gonger i veka i åtte veker."),
            ("HEIM", "Les ti minutt kvar dag frå bok eleven vel sjølv."),
            ("SKULE", "Tilpassa lekse med lydbok."),
        ),
        "Les raskare og tek sjølv fram boka.",
        "Synest lesekurset er kjekt, men kort.",
    ),
    Theme(
        ("NARVAR",),
        "Har vore borte elleve dagar på to månader og seier at magen gjer vondt om morgonen.",
        "Er på skulen fire av fem dagar i veka.",
        (
            ("SKULE", "Kontaktlærar møter eleven ved porten kvar morgon."),
            ("HEIM", "Same morgonrutine alle skuledagar, skriven på kjøleskapet."),
            ("SKULE", "Avtalt pauserom utan å måtte spørje."),
        ),
        "Fråværet er halvert sidan førre møte.",
        "Vil helst kome inn sidedøra.",
    ),
    Theme(
        ("SOSIAL",),
        "Er mykje åleine i friminutta etter at bestevennen flytta.",
        "Har nokon å vere saman med i alle friminutt.",
        (
            ("SKULE", "Trivselsleiarar inviterer med i faste aktivitetar."),
            ("SKULE", "Kontaktlærar set saman grupper i arbeidsøktene."),
            ("FRITID", "Prøver turngruppa saman med ein i klassen."),
        ),
        "Er med i ballspelet dei fleste dagane.",
        "Kjenner seg tryggare, men saknar vennen.",
    ),
    Theme(
        ("ATFERD", "LARING"),
        "Mister konsentrasjonen etter få minutt og kjem ofte i krangel.",
        "Arbeider samanhengande i ti minutt.",
        (
            ("SKULE", "Korte økter med synleg nedteljing og avtalt rørslepause."),
            ("SKULE", "Fast plass framme og éin beskjed om gongen."),
            ("HEIM", "Foreldra får ei positiv melding kvar fredag."),
        ),
        "Greier to økter etter kvarandre før lunsj.",
        "Likar nedteljinga fordi slutten er synleg.",
    ),
    Theme(
        ("PSYKISK_HELSE",),
        "Har vorte stillare og trekkjer seg unna klassen det siste halvåret.",
        "Seier frå når dagen er vanskeleg, og veit til kven.",
        (
            ("SKULE", "Samtale med sosiallærar annankvar veke."),
            ("HEIM", "Foreldra set av ei stund utan skjerm kvar kveld."),
            ("FRITID", "Held fram i korpset, som gjev glede."),
        ),
        "Meir open i samtalane, framleis sliten utpå dagen.",
        "Vil sjølv bestemme kven som får vite noko.",
    ),
)

HEALTH_SMALL = (
    Theme(
        ("SPRAK",),
        "Språkkartleggingen på treårskontrollen ga grunn til oppfølging.",
        "Følger forventet språkutvikling ved neste kontroll.",
        (
            ("HELSE", "Ny språkkartlegging på helsestasjonen om tre måneder."),
            ("HEIM", "Foreldrene får veiledning i samspill rundt bok og lek."),
            ("HELSE", "Hørselstest hos fastlegen."),
        ),
        "Foreldrene forteller om flere ord hjemme.",
        "Ville vise frem boken sin.",
    ),
    Theme(
        ("FYSISK_HELSE", "HEIM_OMSORG"),
        "Sover lite om natten, og foreldrene er slitne.",
        "Sammenhengende søvn i seks timer.",
        (
            ("HEIM", "Søvndagbok i to uker."),
            ("HELSE", "Veiledning om kveldsrutiner på helsestasjonen."),
            ("HEIM", "Foreldrene bytter på å stå opp."),
        ),
        "Innsovning går raskere, fortsatt to oppvåkninger.",
        "Sover best med bamsen.",
    ),
    Theme(
        ("MOTORIKK",),
        "Ustø gange ved toårskontrollen.",
        "Går støtt på ujevnt underlag.",
        (
            ("HELSE", "Fysioterapeut ser på barnet på helsestasjonen."),
            ("HEIM", "Daglig lek på gulvet uten sko."),
            ("HELSE", "Ny kontroll om to måneder."),
        ),
        "Tydelig fremgang i trapp.",
        "Liker å hoppe.",
    ),
)

HEALTH_SCHOOL = (
    Theme(
        ("PSYKISK_HELSE",),
        "Forteller om uro i magen og lite søvn på hverdager.",
        "Sover minst åtte timer på hverdager.",
        (
            ("HELSE", "Samtale hos helsesykepleier hver tredje uke."),
            ("HEIM", "Telefonen ligger i gangen etter klokken ni."),
            ("HELSE", "Pusteøvelser som øves på i samtalene."),
        ),
        "Sovner raskere de dagene avtalen følges.",
        "Synes øvelsene hjelper litt.",
    ),
    Theme(
        ("FYSISK_HELSE",),
        "Har hodepine flere ganger i uken og hopper over lunsj.",
        "Spiser lunsj alle skoledager.",
        (
            ("HELSE", "Hodepinedagbok gjennomgås hos helsesykepleier."),
            ("HEIM", "Foreldrene smører matpakke sammen med eleven."),
            ("HELSE", "Synstest hos optiker."),
        ),
        "Færre dager med hodepine.",
        "Vil helst spise sammen med to venner.",
    ),
)

PREGNANCY = Theme(
    ("HEIM_OMSORG",),
    "Den gravide forteller om lite nettverk og stor uro foran fødselen.",
    "Har faste personer å ringe til før og etter fødselen.",
    (
        ("HELSE", "Ekstra timer hos jordmor hver annen uke."),
        ("HEIM", "Hjemmebesøk sammen med helsesykepleier før termin."),
        ("HEIM", "Plan for de første ukene skrives sammen."),
    ),
    "Kjenner seg tryggere etter hjemmebesøket.",
    "Ønsker samme person hver gang.",
)

REFUGEE = Theme(
    ("OVERGANG", "SPRAK"),
    "Familien er nylig bosatt, og barnet har ikke gått på skole på et år.",
    "Er i gang på skolen med trygge voksne rundt seg.",
    (
        ("ANNA", "Familiekoordinator følger til skolen de to første ukene."),
        ("SKULE", "Introduksjonsgruppe med morsmålsassistent."),
        ("HEIM", "Foreldrene får timeplanen forklart med tolk."),
    ),
    "Kommer til skolen hver dag og har fått en venn.",
    "Gleder seg til gymtimene.",
)

THERAPY = (
    Theme(
        ("MOTORIKK",),
        "Kompenserer med overkroppen når det skal gripes eller klippes.",
        "Klipper langs en bue uten hjelp.",
        (
            ("BARNEHAGE", "Ergoterapeuten viser de voksne sittestilling og grep annenhver uke."),
            ("HEIM", "Finmotoriske øvelser med klype og leire fem minutter om dagen."),
        ),
        "Holder saksen riktig når stolen er tilpasset.",
        "Vil klippe ut dinosaurer.",
    ),
    Theme(
        ("MOTORIKK", "FYSISK_HELSE"),
        "Går på tærne og blir fort sliten i leggene.",
        "Går med hele foten i bakken på tur.",
        (
            ("BARNEHAGE", "Fysioterapeuten trener balanse med barnet i gymsalen."),
            ("HEIM", "Tøyning av leggene før leggetid, vist av fysioterapeuten."),
        ),
        "Bevegeligheten i ankelen er bedre på begge sider.",
        "Liker balansebrettet best.",
    ),
)

PPT_WORK = (
    Theme(
        ("SPRAK", "LARING"),
        "Kartlegginga hos PPT viser at lydane ikkje blir knytte til bokstavane.",
        "Kjenner att alle dei vanlegaste lydsambanda.",
        (
            ("SKULE", "PPT rettleier læraren i systematisk lydtrening kvar veke."),
            ("HEIM", "Lydspel på nettbrett som PPT har valt ut."),
        ),
        "Resultata frå kartlegginga er betre enn i haust.",
        "Synest lydspelet er morosamt.",
    ),
    Theme(
        ("ATFERD", "SOSIAL"),
        "PPT har observert at konfliktane kjem når reglane i leiken er uklare.",
        "Tek imot hjelp frå ein vaksen før det blir krangel.",
        (
            ("SKULE", "PPT set opp ein plan for overgangar i lag med læraren."),
            ("FRITID", "Same plan blir prøvd på fritidsaktiviteten."),
        ),
        "Planen verkar når same vaksen følgjer han opp.",
        "Vil ha planen på pulten sin.",
    ),
)

CHILD_WELFARE_WORK = (
    Theme(
        ("HEIM_OMSORG",),
        "Barnevernet vurderer at kveldene hjemme er uforutsigbare.",
        "Hjelpetiltaket gir faste kvelder i begge hjem.",
        (
            ("HEIM", "Barnevernet gir foreldrene veiledning annenhver uke."),
            ("FRITID", "Barnevernet dekker en fast fritidsaktivitet."),
        ),
        "Veiledningen følges, og barnevernet fortsetter tiltaket.",
        "Gleder seg til trening.",
    ),
    Theme(
        ("HEIM_OMSORG", "NARVAR"),
        "Undersøkelsen hos barnevernet er avsluttet med hjelpetiltak.",
        "Familien klarer morgenene uten hjelp fra barnevernet.",
        (
            ("HEIM", "Barnevernets miljøarbeider er hjemme tre morgener i uken."),
            ("FRITID", "Besøkshjem en helg i måneden etter avtale med barnevernet."),
        ),
        "Barnevernet ser færre urolige morgener.",
        "Liker miljøarbeideren.",
    ),
)

THERAPY_NOTE_NB = (
    "Terapeuten har prøvd ut en ny stol, og den passer.",
    "Terapeuten har målt gangen, og neste måling er avtalt.",
)
PPT_NOTE_NN = ("PPT har vore i klassen og sett på arbeidsøktene.", "PPT har sendt utkast til råd til skulen.")
CHILD_WELFARE_NOTE_NB = (
    "Barnevernet har hatt samtale med foreldrene om planen.",
    "Barnevernets plan er gjennomgått med tilsynspersonen.",
)

MEETING_NN = (
    "Gjekk gjennom tiltaka. Semje om å halde fram til neste møte.",
    "Foreldra fortel at det går betre heime. Vi held på dei same tiltaka.",
    "Alle fekk sagt sitt. Fristane vart flytta til etter ferien.",
)
MEETING_NB = (
    "Gikk gjennom tiltakene. Enighet om å fortsette til neste møte.",
    "Foreldrene ønsker samme kontaktperson videre. Ny time er avtalt.",
    "Kort møte. Fordelte oppgaver frem mot neste evaluering.",
)
BRIGHT_SPOT_NN = (
    "Tok sjølv initiativ til å hjelpe ein annan i dag.",
    "Lo og song heile vegen heim frå turen.",
    "Viste fram arbeidet sitt for heile gruppa.",
)
HEALTH_NOTE_NB = (
    "Vekt og lengde følger kurven. Ny kontroll er avtalt.",
    "Foreldrene har fått tilbud om kurs i samspill.",
    "Hørselen er undersøkt og normal.",
)
EVALUATION_NN = (
    "Går framover, vi held fram som før.",
    "Tiltaket verkar best når dagen er roleg.",
    "Lita endring sidan sist, vi justerer gjennomføringa.",
)
EVALUATION_NB = (
    "Går fremover, vi fortsetter som før.",
    "Tiltaket virker best når hjemmet er med.",
    "Liten endring siden sist, vi justerer gjennomføringen.",
)
CHILD_VIEW_NN = ("Seier at det går greitt.", "Vil gjerne ha meir tid ute.")
CHILD_VIEW_NB = ("Sier at det går fint.", "Vil gjerne velge selv hvem som er med.")

CHILD_VOICE_NN = (
    "Barnet fortalde at det er fint å ha ein fast vaksen, og teikna huset sitt.",
    "Barnet sa at morgonane er vanskelege når det er mykje bråk.",
    "Barnet ønskjer å vere med på å bestemme kven som kjem på møtet.",
)
CHILD_VOICE_NB = (
    "Barnet fortalte at det er godt å komme hit og snakke i fred.",
    "Barnet sa at det helst vil at begge foreldrene hører etter samtidig.",
)
PRIVATE_NN = (
    "Eige minne: hugs å ta opp bemanninga på avdelinga før neste møte.",
    "Eige minne: eg var i tvil om ordlyden i referatet, sjå over.",
    "Eige minne: snakk med styrar om eiga arbeidsbyrde.",
)
PRIVATE_NB = (
    "Egen huskelapp: ring opp igjen etter vaktbytte.",
    "Egen huskelapp: usikker på eget inntrykk, drøft med kollega.",
)
ABOUT_OTHERS_NB = (
    "Mor fortalte om egen sykdom og ba om at det ikke gjengis.",
    "Far fortalte om økonomien til en slektning.",
)
CHILD_WELFARE_NB = (
    "Barnevernet har bedt om et møte; opplysningen er taushetsbelagt.",
    "Kontaktpersonen i barnevernet tar selv neste skritt.",
)

CHILD_WELFARE_TEXTS = frozenset(
    (
        *CHILD_WELFARE_NOTE_NB,
        *(text for theme in CHILD_WELFARE_WORK for text in (theme.concern, theme.goal, theme.evaluation)),
        *(text for theme in CHILD_WELFARE_WORK for _, text in theme.measures),
    )
)
"""What child welfare writes in its own system: a consent may open it to the family alone."""
PRIVATE_TEXTS = frozenset((*PRIVATE_NN, *PRIVATE_NB, *ABOUT_OTHERS_NB, *CHILD_WELFARE_NB))
"""Texts that no consent opens: own notes, notes about others, child welfare's own."""
CHILD_VOICE_TEXTS = frozenset((*CHILD_VOICE_NN, *CHILD_VOICE_NB))
"""What the child said: flows only where a consent names the child's voice."""
