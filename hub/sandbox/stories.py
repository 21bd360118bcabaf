"""The stories that the municipalities' own documents tell, one function each, told about one synthetic child.

Sources, by the names of `reference/domain.md`: S0 routines for relay holders (Gloppen), S1 the relay holder (a nynorsk
municipality), S2 why BTI (Bindal), S3 leaders' routines (Sogndal), S4 information to families (Hustadvika).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from hub.relaylog.nationalid import parse
from hub.sandbox import texts
from hub.sandbox.case import (
    Agreement,
    Baton,
    Case,
    Closing,
    Concern,
    Consent,
    Evaluation,
    Goal,
    Guardian,
    Measure,
    Meeting,
    Note,
    Participant,
    Person,
    Signature,
    Told,
)
from hub.sandbox.children import Cast, Family
from hub.sandbox.municipality import (
    CHILD_WELFARE,
    COORDINATION,
    HEALTH_STATION,
    KINDERGARTENS,
    MIDWIVES,
    PPT,
    REFUGEE_SERVICE,
    SCHOOLS,
    THERAPISTS,
    TUSSEBU,
    Unit,
    Worker,
    staff_of,
)
from hub.sandbox.texts import Theme

Story = Callable[[Cast], Told]

_SHARED_SCOPE = ("PEDAGOGISK", "HELSE")


def kindergarten_goal_reached(cast: Cast) -> Told:
    """S2, S3, S4: the kindergarten starts a level 1 log after consent, evaluates, reaches the goal and closes."""
    case = _kindergarten_log(cast, cast.family(2, 4))
    goal = replace(case.goals[0], status="NADD")
    measures = tuple(
        replace(measure, status="MAL_NADD", goal=goal, due=cast.ago(25), evaluate_by=cast.ago(20))
        for measure in case.measures
    )
    meeting = replace(_meeting(cast, case, cast.ago(20), "EVALUERING", texts.MEETING_NN), next_on=None)
    case = replace(case, goals=(goal,), measures=measures, meetings=(*case.meetings, meeting))
    closing = Closing(cast.ago(18), "MAL_NADD", "Målet er nådd, og foreldra er trygge på vegen vidare.", "FORESETT")
    return Told(vigilo=(_closed(cast, case, closing),))


def ordinary_kindergarten(cast: Cast) -> Told:
    """S0: on level 1 the pedagogical leader holds the log that stands in Vigilo."""
    return Told(vigilo=(_kindergarten_log(cast, cast.family(1, 5)),))


def ordinary_school(cast: Cast) -> Told:
    """S0, S1: on level 1 the contact teacher holds the log that stands in Vigilo."""
    unit = cast.school()
    return Told(vigilo=(_with_voice(cast, _log(cast, cast.family(6, 14), unit, _pick(cast, texts.SCHOOL))),))


def ordinary_health_station(cast: Cast) -> Told:
    """S3: the health station starts the log of a child under one, or of one that goes to no kindergarten."""
    return Told(samspill=(_health_log(cast, cast.family(0, 3)),))


def shared_level_2(cast: Cast) -> Told:
    """S1, S2: level 2, kindergarten and health station each write in their own system about the same child."""
    return _shared(cast, cast.family(2, 5), cast.kindergarten(), level=2)


def shared_level_3(cast: Cast) -> Told:
    """S1, S3: level 3, with PPT as a participant and a cooperation meeting recorded in both systems."""
    told = _shared(cast, cast.family(7, 14), cast.school(), level=3)
    adviser = Participant(staff_of(PPT)[0], "Råd om tilpassing i klassa", cast.ago(50))
    meeting = _meeting(cast, told.vigilo[0], cast.ago(25), "SAMARBEID", texts.MEETING_NN)
    return _both(
        told, lambda case: replace(case, participants=(*case.participants, adviser), meetings=(meeting, *case.meetings))
    )


def shared_conflict(cast: Cast) -> Told:
    """S0, S4: both sides have moved the deadline of PPT's measure at home, to different days: a real conflict."""
    told = _shared(cast, cast.family(3, 5), cast.kindergarten(), level=2)
    start = cast.ago(60)
    common = Measure(
        "PPT rettleier foreldra i samspel heime.",
        "HEIM",
        (staff_of(PPT)[0].name, "PPT"),
        start,
        cast.ahead(30),
        cast.ahead(37),
        told.vigilo[0].goals[0],
        "PPT",
    )
    return Told(
        tuple(_adding_measure(case, common) for case in told.vigilo),
        tuple(
            _adding_measure(case, replace(common, due=cast.ahead(58), status="TIL_EVALUERING"))
            for case in told.samspill
        ),
    )


def baton_accepted(cast: Cast) -> Told:
    """S0, S3: the kindergarten offers the baton before school starts, the contact teacher accepts and holds it."""
    school = cast.school()
    case = _kindergarten_log(cast, cast.family(5, 5))
    teacher = cast.nearest(school)
    baton = _baton(case.holder, teacher, cast.ago(40), cast.ago(33))
    return Told(vigilo=(replace(case, unit=school, holder=teacher, batons=(baton,)),))


def baton_offered(cast: Cast) -> Told:
    """S0, S1: the baton is offered and not yet accepted, so the old holder still holds it."""
    case = _kindergarten_log(cast, cast.family(5, 5))
    return Told(vigilo=(replace(case, batons=(_baton(case.holder, cast.nearest(cast.school()), cast.ago(4), None),)),))


def health_station_to_kindergarten_to_school(cast: Cast) -> Told:
    """S3, S4: the log follows the child from health station to kindergarten to school, one accepted handover each."""
    school = cast.school()
    nurse, leader, teacher = cast.nearest(HEALTH_STATION), cast.nearest(cast.kindergarten()), cast.nearest(school)
    case = _health_log(cast, cast.family(6, 7), opened=cast.ago(1500))
    batons = (
        _baton(nurse, leader, cast.ago(1180), cast.ago(1170)),
        _baton(leader, teacher, cast.ago(120), cast.ago(110)),
    )
    return Told(samspill=(replace(case, unit=school, holder=teacher, batons=batons, level=2, step="2.3"),))


def pregnant_to_child(cast: Cast) -> Told:
    """S3: the midwife's log of the pregnant mother is handed to the nurse at birth and goes on as the child's log."""
    family = cast.family(0, 0)
    mother, midwife, nurse = family.guardians[0], cast.nearest(MIDWIVES), cast.nearest(HEALTH_STATION)
    born = family.child.born
    subject = Person(
        mother.name.split()[0],
        family.child.last_name,
        mother.national_id,
        parse(mother.national_id).birth_date or born,
        "female",
        kind="GRAVID",
        due=born,
    )
    then = replace(cast, today=born)
    opened = then.ago(150)
    consent = Consent("HELSESTASJON", _SHARED_SCOPE, (Signature(mother.name, "GRAVID", opened),), opened)
    before = _log(then, Family(subject, family.guardians), MIDWIVES, texts.PREGNANCY, opened)
    handover = _baton(midwife, nurse, born, born)
    before = replace(before, guardians=(), consents=(consent,), batons=(handover,), holder=nurse)
    closing = Closing(
        born, "ANNA", "Barnet er født. Arbeidet fortsetter i barnets logg.", "STAFETTHALDAR", "Barnets logg"
    )
    after = _health_log(cast, family, opened=born)
    return Told(samspill=(_closed(cast, before, closing), after))


def refugee_service_to_school(cast: Cast) -> Told:
    """S3: NAV's refugee service starts the log of a newly settled family and hands it to the school."""
    school = cast.school()
    family = cast.family(8, 13)
    coordinator, teacher = cast.nearest(REFUGEE_SERVICE), cast.nearest(school)
    case = _log(cast, family, REFUGEE_SERVICE, texts.REFUGEE)
    baton = _baton(coordinator, teacher, cast.ago(30), cast.ago(21))
    subject = replace(family.child, interpreter="tigrinja")
    return Told(samspill=(replace(case, subject=subject, unit=school, holder=teacher, batons=(baton,)),))


def moved_away(cast: Cast) -> Told:
    """S3: the family moves to another municipality and the log is closed as moved."""
    case = _kindergarten_log(cast, cast.family(2, 4))
    closing = Closing(
        cast.ago(9),
        "FLYTTA",
        "Familien har flytta. Foreldra tek sjølve med seg ein kopi.",
        "STAFETTHALDAR",
        "Ny heimkommune",
    )
    return Told(vigilo=(_closed(cast, case, closing),))


def individual_plan(cast: Cast) -> Told:
    """S0, S1, S4: a coordinator and an individual plan take over, and the log is closed."""
    case = _health_log(cast, cast.family(3, 5))
    coordinator = Participant(staff_of(COORDINATION)[0], "Koordinator for individuell plan", cast.ago(30))
    closing = Closing(
        cast.ago(12),
        "IP_KOORDINATOR",
        "Koordinator er oppnevnt. Samarbeidet fortsetter som ansvarsgruppe.",
        "FORESETT",
        "Individuell plan med koordinator",
    )
    case = replace(case, level=3, step="3.5", participants=(*case.participants, coordinator))
    return Told(samspill=(_closed(cast, case, closing),))


def consent_withdrawn(cast: Cast) -> Told:
    """S4: consent can be withdrawn at any time.

    Told the first time about a child in both systems, where only the kindergarten has noted the withdrawal so far;
    then about a log that the withdrawal closed.
    """
    if cast.again:
        case = _kindergarten_log(cast, cast.family(2, 5))
        consents = tuple(_withdrawn(consent, cast.ago(6)) for consent in case.consents)
        closing = Closing(cast.ago(6), "SAMTYKKE_TREKT", "Foreldra har trekt samtykket.", "FORESETT")
        return Told(vigilo=(_closed(cast, replace(case, consents=consents), closing),))
    told = _shared(cast, cast.family(2, 5), cast.kindergarten(), level=2)
    withdrawn = tuple(_withdrawn(consent, cast.ago(1)) for consent in told.vigilo[0].consents)
    changed = cast.clock(cast.ago(1))
    return replace(told, vigilo=(replace(told.vigilo[0], consents=withdrawn, changed=changed),))


def reader_without_consent(cast: Cast) -> Told:
    """S4: a new consent is due for every new service; the health station and the family behind Samspill have none."""
    told = _shared(cast, cast.family(3, 5), cast.kindergarten(), level=2)
    return _both(told, lambda case: replace(case, consents=case.consents[:1]))


def youth_of_16(cast: Cast) -> Told:
    """S4: a youth of 16 signs, in addition to both parents."""
    family = cast.family(16, 16, kind="UNGDOM")
    told = _shared(cast, family, SCHOOLS[0], level=2)
    own = Signature(family.child.name, "UNGDOM", told.vigilo[0].opened)
    signed = tuple(replace(c, signed=(own, *c.signed)) for c in told.vigilo[0].consents)
    return _both(told, lambda case: replace(case, consents=signed))


def shared_residence_both_signed(cast: Cast) -> Told:
    """S4: parents who live apart with shared residence have both signed."""
    return _shared(cast, _living_apart(cast.family(3, 5)), cast.kindergarten(), level=2)


def shared_residence_one_signed(cast: Cast) -> Told:
    """S4: one of two parents with shared residence has signed, so every consent still waits."""
    told = _shared(cast, _living_apart(cast.family(7, 12)), cast.school(), level=2)
    waiting = tuple(replace(c, signed=c.signed[:1], status="VENTAR") for c in told.vigilo[0].consents)
    return _both(told, lambda case: replace(case, consents=waiting))


def barred_guardian(cast: Cast) -> Told:
    """Domain 4 (Bergen 2019): a guardian is barred; only the kindergarten's system knows it."""
    family = cast.family(3, 5)
    told = _shared(cast, family, cast.kindergarten(), level=2)
    mother, father = family.guardians
    apart = (replace(mother, residence="HOS_DENNE"), replace(father, residence="HOS_ANDRE", responsibility=False))
    signed = tuple(replace(c, signed=c.signed[:1]) for c in told.vigilo[0].consents)
    told = _both(told, lambda case: replace(case, guardians=apart, consents=signed))
    barred = (apart[0], replace(apart[1], barred=True))
    return replace(told, vigilo=(replace(told.vigilo[0], guardians=barred),))


def protected_confidential(cast: Cast) -> Told:
    """Domain 4: the child's address is confidential (code 7)."""
    return _protected(cast, "FORTROLEG")


def protected_strict(cast: Cast) -> Told:
    """Domain 4: the child's address is strictly confidential (code 6); the whole log waits for a person."""
    return _protected(cast, "STRENGT_FORTROLEG")


def violence(cast: Cast) -> Told:
    """S3: suspicion of violence or abuse goes to child welfare or the police, never through the log."""
    told = _shared(cast, cast.family(4, 5), cast.kindergarten(), level=3)
    return replace(told, vigilo=(replace(told.vigilo[0], violence=True),))


ALL_STORIES: tuple[Story, ...] = (
    kindergarten_goal_reached,
    shared_level_2,
    shared_level_3,
    shared_conflict,
    baton_accepted,
    baton_offered,
    health_station_to_kindergarten_to_school,
    pregnant_to_child,
    refugee_service_to_school,
    moved_away,
    individual_plan,
    consent_withdrawn,
    reader_without_consent,
    youth_of_16,
    shared_residence_both_signed,
    shared_residence_one_signed,
    barred_guardian,
    protected_confidential,
    protected_strict,
    violence,
)
"""Each is told at least once in a world of twenty children or more."""

ORDINARY_STORIES: tuple[Story, ...] = (
    *(ordinary_kindergarten,) * 4,
    *(ordinary_school,) * 4,
    *(ordinary_health_station,) * 5,
    *(shared_level_2,) * 4,
    *(shared_level_3,) * 2,
)
"""What most children's logs are like, in the proportions in which they are told."""


def therapy_with_consent(cast: Cast) -> Told:
    """S0, S4: therapists in Profil work with a child of kindergarten and health station; a consent names them all."""
    unit = cast.kindergarten()
    base = _base(cast, cast.family(2, 5), unit, ("BARNEHAGE", "HELSESTASJON", "FAMILIE", "FYSIO_ERGO"), _SHARED_SCOPE)
    therapist = Participant(cast.nearest(THERAPISTS), "Øver saman med barnet", base.opened)
    base = replace(base, participants=(therapist,))
    own, health = _themes(unit)
    therapy = _file_side(cast, base, THERAPISTS, texts.THERAPY, texts.THERAPY_NOTE_NB)
    sides = (_vigilo_side(cast, base, own),), (_samspill_side(cast, base, health),)
    return Told(*sides, (("profil", therapy),))


def therapy_without_consent(cast: Cast) -> Told:
    """S4: the therapists' texts may reach the kindergarten, but no consent names the therapists themselves."""
    base = _base(cast, cast.family(2, 5), cast.kindergarten(), ("BARNEHAGE",), _SHARED_SCOPE)
    therapy = _file_side(cast, base, THERAPISTS, texts.THERAPY, texts.THERAPY_NOTE_NB)
    return _beside(cast, base, "profil", therapy)


def ppt_with_consent(cast: Cast) -> Told:
    """S1, S4: PPT works with a pupil in HK Oppvekst; both school and PPT are named, and so is what PPT writes."""
    base = _base(cast, cast.family(7, 13), cast.school(), ("SKULE", "PPT"), ("PEDAGOGISK", "PPT"))
    return _beside(cast, base, "hkoppvekst", _file_side(cast, base, PPT, texts.PPT_WORK, texts.PPT_NOTE_NN))


def ppt_without_consent(cast: Cast) -> Told:
    """S4: PPT has a log of its own on a pupil, and no consent names PPT or what PPT writes."""
    base = _base(cast, cast.family(7, 13), cast.school(), ("SKULE",), ("PEDAGOGISK",))
    return _beside(cast, base, "hkoppvekst", _file_side(cast, base, PPT, texts.PPT_WORK, texts.PPT_NOTE_NN))


def ppt_goal_reached(cast: Cast) -> Told:
    """S2: a log that PPT alone kept in HK Oppvekst is closed when the goal is reached."""
    base = _base(cast, cast.family(7, 13), PPT, (), ())
    case = _file_side(cast, base, PPT, texts.PPT_WORK, texts.PPT_NOTE_NN)
    closing = Closing(cast.ago(12), "MAL_NADD", "Målet er nådd, og skulen held fram åleine.", "FORESETT")
    return Told(files=(("hkoppvekst", _closed(cast, case, closing)),))


def child_welfare_with_consent(cast: Cast) -> Told:
    """S3, S4: a consent names child welfare to the school's texts; what child welfare writes goes to no service."""
    base = _base(cast, cast.family(7, 13), cast.school(), ("SKULE", "BARNEVERN"), _SHARED_SCOPE)
    return _beside(cast, base, "barnevern", _child_welfare_side(cast, base))


def child_welfare_without_consent(cast: Cast) -> Told:
    """S4: child welfare has a log of its own on a pupil, and no consent names it."""
    base = _base(cast, cast.family(7, 13), cast.school(), ("SKULE",), _SHARED_SCOPE)
    return _beside(cast, base, "barnevern", _child_welfare_side(cast, base))


def child_welfare_in_the_old_system(cast: Cast) -> Told:
    """Domain 3: a case that child welfare has not yet moved out of Familia, which is only read."""
    base = _base(cast, cast.family(2, 5), cast.kindergarten(), ("BARNEHAGE",), _SHARED_SCOPE)
    return _beside(cast, base, "familia", _child_welfare_side(cast, base))


def school_health_in_infodoc(cast: Cast) -> Told:
    """S1, S4: the school nurse writes in InfoDoc; a consent names the school and the school health service."""
    base = _base(cast, cast.family(7, 13), cast.school(), ("SKULE", "SKULEHELSE"), _SHARED_SCOPE)
    return _beside(
        cast, base, "infodoc", _file_side(cast, base, HEALTH_STATION, texts.HEALTH_SCHOOL, texts.HEALTH_NOTE_NB)
    )


def kindergarten_with_a_word_form(cast: Cast) -> Told:
    """S0: a private kindergarten without Vigilo fills in a Word form in Compilo; the health station uses Samspill."""
    base = _base(cast, cast.family(2, 5), TUSSEBU, ("BARNEHAGE", "HELSESTASJON", "FAMILIE"), _SHARED_SCOPE)
    form = _vigilo_side(cast, base, texts.KINDERGARTEN)
    return Told(samspill=(_samspill_side(cast, base, texts.HEALTH_SMALL),), files=(("compilo", form),))


def paper_form(cast: Cast) -> Told:
    """S0: somebody filled in the municipality's paper form about a child that has a log in Vigilo too.

    The number on paper was written by hand, so that the same number is a proposal and joins nothing.
    """
    base = _base(cast, cast.family(2, 5), cast.kindergarten(), ("BARNEHAGE",), _SHARED_SCOPE)
    return _beside(cast, base, "papirskjema", replace(base, meetings=()))


FILE_STORIES: tuple[Story, ...] = (
    therapy_with_consent,
    therapy_without_consent,
    ppt_with_consent,
    ppt_without_consent,
    ppt_goal_reached,
    child_welfare_with_consent,
    child_welfare_without_consent,
    child_welfare_in_the_old_system,
    school_health_in_infodoc,
    kindergarten_with_a_word_form,
    paper_form,
)
"""Children who are known in a system that exchanges files; each is told once in a world of 31 children or more."""


def _base(cast: Cast, family: Family, unit: Unit, readers: tuple[str, ...], scope: tuple[str, ...]) -> Case:
    """Tell the beginning that every system knows: level 2, with a consent to each of the readers."""
    themes = _themes(unit)[0]
    base = _log(cast, family, unit, _pick(cast, themes), measures=1)
    signed = _signatures(family.guardians, base.opened)
    consents = tuple(Consent(to, scope, signed, base.opened) for to in readers)
    return replace(base, level=2, step="2.1", consents=consents, meetings=())


def _beside(cast: Cast, base: Case, system: str, case: Case) -> Told:
    """Tell what stands in Vigilo, and beside it in a system that exchanges files."""
    vigilo = _vigilo_side(cast, base, _themes(base.unit)[0])
    return Told(vigilo=(vigilo,), files=((system, case),))


def _child_welfare_side(cast: Cast, base: Case) -> Case:
    return _file_side(cast, base, CHILD_WELFARE, texts.CHILD_WELFARE_WORK, texts.CHILD_WELFARE_NOTE_NB)


def _file_side(cast: Cast, base: Case, unit: Unit, themes: tuple[Theme, ...], notes: tuple[str, ...]) -> Case:
    """Tell what a service wrote itself: nothing of the others, but the frame that all have copied by hand."""
    theme, worker = _pick(cast, themes), cast.nearest(unit)
    concern = Concern(theme.concern, theme.areas, cast.ago(44), worker.name, unit.service)
    goal = Goal(theme.goal, concern, cast.ago(44), unit.service)
    private = texts.PRIVATE_NN if unit == PPT else texts.PRIVATE_NB
    part = {"PPT": "ppt", "BARNEVERN": "barnevern"}.get(unit.service, "helse")
    return replace(
        base,
        unit=unit,
        concerns=(concern,),
        goals=(goal,),
        measures=tuple(_measure(cast, theme, index, goal, worker) for index in (0, 1)),
        notes=(
            Note("NOTAT", cast.ago(14), cast.rng.choice(notes), worker.name, part, unit.service),
            Note("NOTAT", cast.ago(13), cast.rng.choice(private), worker.name, "egen", unit.service),
        ),
        changed=cast.clock(cast.ago(cast.rng.randint(1, 14))),
        version=cast.rng.randint(1, 9),
    )


def _pick(cast: Cast, themes: tuple[Theme, ...]) -> Theme:
    return cast.rng.choice(themes)


def _log(cast: Cast, family: Family, unit: Unit, theme: Theme, opened: date | None = None, measures: int = 2) -> Case:
    """Tell the ordinary beginning: consent, concern, goal, measures, one evaluation and one meeting."""
    opened = opened or cast.ago(cast.rng.randint(80, 380))
    holder = cast.nearest(unit)
    concern = Concern(theme.concern, theme.areas, opened, holder.name, unit.service)
    goal = Goal(theme.goal, concern, opened, unit.service)
    case = Case(
        subject=family.child,
        unit=unit,
        holder=holder,
        level=1,
        step="1.2",
        opened=opened,
        changed=cast.clock(cast.ago(cast.rng.randint(1, 14))),
        version=cast.rng.randint(1, 9),
        guardians=family.guardians,
        consents=(Consent("FAMILIE", _SHARED_SCOPE, _signatures(family.guardians, opened), opened),),
        concerns=(concern,),
        goals=(goal,),
        measures=tuple(_measure(cast, theme, index, goal, holder) for index in range(measures)),
    )
    return replace(case, meetings=(_meeting(cast, case, cast.ago(30), "SAMARBEID", _minutes(unit)),))


def _kindergarten_log(cast: Cast, family: Family) -> Case:
    case = _log(cast, family, cast.kindergarten(), _pick(cast, texts.KINDERGARTEN))
    return _with_voice(cast, case)


def _health_log(cast: Cast, family: Family, opened: date | None = None) -> Case:
    age_texts = texts.HEALTH_SMALL if (cast.today - family.child.born).days < 6 * 365 else texts.HEALTH_SCHOOL
    case = _log(cast, family, HEALTH_STATION, _pick(cast, age_texts), opened or max(cast.ago(380), family.child.born))
    return replace(case, notes=_health_notes(cast, case.holder))


def _shared(cast: Cast, family: Family, unit: Unit, level: int) -> Told:
    """Tell one child in both systems: a common beginning that was copied by hand, then each side's own.

    Two of three children have not been asked about their own words; the third's consents name the child's voice.
    """
    own_themes, health_themes = _themes(unit)
    base = _log(cast, family, unit, _pick(cast, own_themes), measures=1)
    scope = (*_SHARED_SCOPE, "BARNETS_RØYST") if cast.number % 3 == 0 else _SHARED_SCOPE
    signed = _signatures(family.guardians, base.opened)
    consents = tuple(Consent(to, scope, signed, base.opened) for to in (unit.service, "HELSESTASJON", "FAMILIE"))
    nurse = Participant(cast.nearest(HEALTH_STATION), "Følgjer opp helse og rettleiing", base.opened)
    base = replace(base, level=level, step=f"{level}.1", consents=consents, participants=(nurse,), meetings=())
    return Told((_vigilo_side(cast, base, own_themes),), (_samspill_side(cast, base, health_themes),))


def _themes(unit: Unit) -> tuple[tuple[Theme, ...], tuple[Theme, ...]]:
    if unit in KINDERGARTENS:
        return texts.KINDERGARTEN, texts.HEALTH_SMALL
    return texts.SCHOOL, texts.HEALTH_SCHOOL


def _vigilo_side(cast: Cast, base: Case, themes: tuple[Theme, ...]) -> Case:
    theme = next(theme for theme in themes if theme.goal == base.goals[0].text)
    own = _measure(cast, theme, 1, base.goals[0], base.holder)
    meeting = _meeting(cast, base, cast.ago(21), "EVALUERING", texts.MEETING_NN)
    return _with_voice(cast, replace(base, measures=(*base.measures, own), meetings=(meeting,)))


def _samspill_side(cast: Cast, base: Case, themes: tuple[Theme, ...]) -> Case:
    theme, nurse = _pick(cast, themes), cast.nearest(HEALTH_STATION)
    concern = Concern(theme.concern, theme.areas, cast.ago(45), nurse.name, "HELSESTASJON")
    goal = Goal(theme.goal, concern, cast.ago(45), "HELSESTASJON")
    measures = tuple(_measure(cast, theme, index, goal, nurse) for index in (0, 1))
    meeting = replace(
        _meeting(cast, base, cast.ago(16), "SAMARBEID", texts.MEETING_NB),
        place=HEALTH_STATION.name,
        chair=nurse.name,
        secretary=nurse.name,
        writer="HELSESTASJON",
    )
    return replace(
        base,
        concerns=(*base.concerns, concern),
        goals=(*base.goals, goal),
        measures=(*base.measures, *measures),
        meetings=(meeting,),
        notes=_health_notes(cast, nurse),
        changed=cast.clock(cast.ago(cast.rng.randint(1, 14))),
        version=cast.rng.randint(1, 9),
    )


def _signatures(guardians: tuple[Guardian, ...], on: date) -> tuple[Signature, ...]:
    return tuple(Signature(guardian.name, guardian.relation, on) for guardian in guardians)


def _measure(cast: Cast, theme: Theme, index: int, goal: Goal, holder: Worker) -> Measure:
    arena, text = theme.measures[index]
    start = max(goal.on, cast.ago(cast.rng.randint(45, 75)))
    due = cast.ahead(cast.rng.randint(10, 90))
    return Measure(
        text=text,
        arena=arena,
        responsible=(holder.name, holder.unit.service),
        start=start,
        due=due,
        evaluate_by=cast.ahead(100),
        goal=goal,
        writer=holder.unit.service,
        evaluations=(_evaluation(cast, cast.ago(22), theme, holder.unit.service),) if index == 0 else (),
    )


def _evaluation(cast: Cast, on: date, theme: Theme, writer: str) -> Evaluation:
    effect = cast.rng.choice(("GOD", "GOD", "NOKO"))
    return Evaluation(on, effect, theme.evaluation, "VIDAREFORE", theme.child_view, writer)


def _minutes(unit: Unit) -> tuple[str, ...]:
    return texts.MEETING_NN if unit.service in {"BARNEHAGE", "SKULE"} else texts.MEETING_NB


def _meeting(cast: Cast, case: Case, on: date, kind: str, minutes: tuple[str, ...]) -> Meeting:
    return Meeting(
        kind=kind,
        at=cast.clock(on),
        place=case.unit.name,
        agenda="1. Sidan sist 2. Tiltak 3. Vidare",
        chair=case.holder.name,
        secretary=case.holder.name,
        attendees=(case.holder.name, *(guardian.name for guardian in case.guardians)),
        minutes=cast.rng.choice(minutes),
        next_on=cast.ahead(cast.rng.randint(20, 60)),
        writer=case.unit.service,
    )


def _with_voice(cast: Cast, case: Case) -> Case:
    """Add what only some may read: the child's own words, and the holder's own note beside a bright spot."""
    name, service = case.holder.name, case.unit.service
    notes = (
        Note("SAMTALE", cast.ago(26), cast.rng.choice(texts.CHILD_VOICE_NN), name, "barnets_stemme", service),
        Note("LYSGLIMT", cast.ago(12), cast.rng.choice(texts.BRIGHT_SPOT_NN), name, "pedagogisk", service),
        Note("NOTAT", cast.ago(11), cast.rng.choice(texts.PRIVATE_NN), name, "egen", service),
    )
    agreement = Agreement("Ny prat ved levering kvar måndag.", cast.ago(26), (name, case.guardians[0].name), service)
    return replace(case, notes=(*case.notes, *notes), agreements=(agreement,))


def _health_notes(cast: Cast, writer: Worker) -> tuple[Note, ...]:
    told = (
        ("NOTAT", texts.HEALTH_NOTE_NB, "helse"),
        ("SAMTALE", texts.CHILD_VOICE_NB, "barnets_stemme"),
        ("NOTAT", texts.PRIVATE_NB, "egen"),
        ("NOTAT", texts.ABOUT_OTHERS_NB, "om_andre"),
        ("NOTAT", texts.CHILD_WELFARE_NB, "barnevern"),
    )
    return tuple(
        Note(kind, cast.ago(15 + index), cast.rng.choice(bank), writer.name, part, "HELSESTASJON")
        for index, (kind, bank, part) in enumerate(told)
    )


def _baton(giver: Worker, taker: Worker, offered: date, answered: date | None) -> Baton:
    return Baton(
        giver,
        taker,
        offered,
        "AKSEPTERT" if answered else "TILBODE",
        answered,
        "Overgang til den som møter barnet til dagleg.",
        "Vil gjerne vite kven det er på førehand.",
    )


def _closed(cast: Cast, case: Case, closing: Closing) -> Case:
    return replace(case, status="AVSLUTTA", closing=closing, changed=cast.clock(closing.on))


def _withdrawn(consent: Consent, on: date) -> Consent:
    return replace(consent, status="TREKT", withdrawn=on)


def _living_apart(family: Family) -> Family:
    mother, father = family.guardians
    return replace(family, guardians=(replace(mother, residence="DELT"), replace(father, residence="DELT")))


def _protected(cast: Cast, grade: str) -> Told:
    family = cast.family(3, 5)
    hidden = replace(family, child=replace(family.child, protection=grade))
    return _shared(cast, hidden, cast.kindergarten(), level=2)


def _adding_measure(case: Case, measure: Measure) -> Case:
    return replace(case, measures=(*case.measures, measure))


def _both(told: Told, change: Callable[[Case], Case]) -> Told:
    return Told(tuple(change(case) for case in told.vigilo), tuple(change(case) for case in told.samspill))
