"""Settings: a right folder becomes values, and every wrong one tells file, line and what would be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from hub.bootstrap import Hub
from hub.engine.occurrences import Cron, Timing
from hub.operate.settings import HubSettings, NotConfigured, SettingsError, TenantSettings, load_settings
from hub.operate.settings.model import organisation_number
from hub.operate.settings.reading import Wrong
from hub.relaylog.codes import Part, Service
from hub.service.schedule import timings
from hub.store.database import open_database

TENANT = "900001002"  # made up, as all numbers here; they pass the mod-11 check
OTHER = "900001010"
REAL_SERIES = "987654325"  # made up too, in the series that municipalities have
SECRET = "Zx9-canary-secret"
LINE = f"config/tenants/{TENANT}/connections/first.yaml"

HUB = """\
environment: test
data: var
"""
TENANT_FILE = f"""\
name: Fjordvik kommune
organisation_number: "{TENANT}"
language: nn
controller: Fjordvik kommune
key_file: keys/fjordvik.key
units:
  - {{id: solbakken, name: Solbakken barnehage, organisation_number: "{OTHER}", service: kindergarten}}
"""
CONNECTION = """\
system: letterbox
mapping: letterbox/log
base_url: ${env:BOX_URL}
secret: ${env:BOX_SECRET}
services: [kindergarten, school]
readers: unit
schedule: {every: 15m}
"""
RULES = """\
valid_from: 2026-01-01
source: Vedtak 1/26
decided_by: Rådmannen
parts:
  health: {readers: [school], named: false}
"""


class Letterbox(BaseModel):
    """A system as a connector would declare it."""

    base_url: str
    secret: SecretStr
    slots: int = 1


class Ceiling(BaseModel):
    """One nested value of the rules below. It lets unknown keys through by itself."""

    readers: frozenset[Service] = frozenset()
    named: bool = True


class Sharing(BaseModel):
    """Rules as another part of the hub would declare them."""

    parts: dict[Part, Ceiling] = {}


@dataclass
class Folder:
    """A configuration folder in the making: file names to text, and the environment."""

    root: Path
    files: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def load(self) -> HubSettings:
        """Write the files and load them."""
        for name, text in self.files.items():
            path = self.root / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return load_settings(
            self.root / "config", self.environ, systems={"letterbox": Letterbox}, rules={"sharing": Sharing}
        )

    def tenant(self) -> TenantSettings:
        """Load, and give the one tenant."""
        return self.load().tenants[0]

    def problems(self) -> list[str]:
        """Load what is wrong, and give the lines that a person reads."""
        with pytest.raises(SettingsError) as raised:
            self.load()
        return str(raised.value).splitlines()

    def change(self, name: str, old: str, new: str) -> None:
        """Change one place in one file."""
        assert self.files[name].count(old) == 1
        self.files[name] = self.files[name].replace(old, new)


HUB_YAML = "hub.yaml"
TENANT_YAML = f"tenants/{TENANT}/tenant.yaml"
FIRST = f"tenants/{TENANT}/connections/first.yaml"
SHARING = f"tenants/{TENANT}/rules/sharing.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Give a right configuration with one tenant, one connection and one rules file."""
    files = {HUB_YAML: HUB, TENANT_YAML: TENANT_FILE, FIRST: CONNECTION, SHARING: RULES}
    return Folder(tmp_path, files, {"BOX_URL": "https://box.vendor.no/api", "BOX_SECRET": SECRET})


def test_a_right_folder_becomes_values(folder: Folder) -> None:
    """What the files say arrives typed, with defaults, and with the system's own settings apart."""
    settings = folder.load()
    connection = settings.connection("first")
    assert (settings.environment, settings.log_level, connection.id) == ("test", "info", f"{TENANT}/first")
    assert connection.services == frozenset({Service.KINDERGARTEN, Service.SCHOOL})
    assert connection.readers == "unit"
    assert (connection.first_contact, connection.deliver, connection.catch_up) == ("hold", False, "latest")
    assert connection.schedule is not None
    assert connection.schedule.every == timedelta(minutes=15)
    assert (connection.overlap, connection.misfire_grace) == ("wait", timedelta(minutes=10))
    assert connection.own == Letterbox(base_url="https://box.vendor.no/api", secret=SecretStr(SECRET))


def test_a_schedule_reaches_the_clock_as_it_is_written(folder: Folder) -> None:
    """Times with their zone, and what becomes of those that overlap or are noticed late, are the clock's."""
    written = 'schedule: {cron: "15 5 * * *", zone: Europe/London}\noverlap: skip\nmisfire_grace: 1h\ncatch_up: none'
    folder.change(FIRST, "schedule: {every: 15m}", written)
    settings = folder.load()
    db = open_database(settings.database.get_secret_value())
    assert timings(Hub(settings, db, {})) == {
        f"{TENANT}/first": Timing(
            Cron("15 5 * * *", ZoneInfo("Europe/London")),
            misfire_grace=timedelta(hours=1),
            catch_up="none",
            overlap="skip",
        )
    }
    db.close()


def test_relative_paths_start_beside_the_folder(folder: Folder) -> None:
    """Paths are read from the configuration folder's parent, so it does not matter where the hub is started."""
    settings = folder.load()
    assert settings.data == folder.root / "var"
    assert settings.database.get_secret_value() == f"sqlite:///{folder.root}/var/hub.db"
    assert settings.tenants[0].key_file == folder.root / "keys" / "fjordvik.key"


def test_services_are_readers_too(folder: Folder) -> None:
    """Readers may be a list of services in place of the record's own unit."""
    folder.change(FIRST, "readers: unit", "readers: [health_station, family]")
    assert folder.tenant().connections[0].readers == frozenset({Service.HEALTH_STATION, Service.FAMILY})


def test_a_secret_comes_from_a_file(folder: Folder) -> None:
    """A file reference is replaced by the file's text without its last line break."""
    (folder.root / "box.secret").write_text(f"{SECRET}\n", encoding="utf-8")
    folder.change(FIRST, "${env:BOX_SECRET}", f"${{file:{folder.root}/box.secret}}")
    own = folder.tenant().connections[0].own
    assert isinstance(own, Letterbox)
    assert own.secret.get_secret_value() == SECRET


def test_values_can_be_put_together(folder: Folder) -> None:
    """A reference may stand inside a longer value."""
    folder.change(FIRST, "${env:BOX_URL}", "${env:BOX_URL}/v2")
    assert "https://box.vendor.no/api/v2" in repr(folder.load())


def test_secrets_are_in_no_repr(folder: Folder) -> None:
    """Printing the settings shows no secret."""
    folder.change(HUB_YAML, "data: var", "data: var\ndatabase: ${env:BOX_SECRET}")
    assert SECRET not in repr(folder.load()) + str(folder.load())


def test_a_missing_variable_is_named_with_its_place(folder: Folder) -> None:
    """A variable that is not set is one problem with its name, file and line; nothing else is said about it."""
    del folder.environ["BOX_SECRET"]
    problem = f"{LINE}:4:9: the environment variable BOX_SECRET is not set. Set it before the hub starts"
    assert folder.problems() == [problem]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("${file:nowhere/box.secret}", "the file nowhere/box.secret can't be read"),
        ("${BOX_SECRET}", "'${BOX_SECRET}' is no reference. Write ${env:NAME} or ${file:/path}"),
        ("${env:BOX_SECRET", "a '${' without its '}'"),
        ("hunter2", "a secret written in the file. Write ${env:NAME} or ${file:/path}"),
    ],
)
def test_secrets_are_referred_to(folder: Folder, written: str, problem: str) -> None:
    """A secret that is written out, or referred to in a wrong way, is refused without being shown."""
    folder.change(FIRST, "${env:BOX_SECRET}", written)
    (found,) = folder.problems()
    assert found.startswith(f"{LINE}:4:9: {problem}")
    assert "hunter2" not in found


def test_a_wrong_value_from_outside_is_not_shown(folder: Folder) -> None:
    """An error about an expanded value shows the reference in the file, never what it stands for."""
    folder.files[FIRST] += "slots: ${env:BOX_SECRET}\n"
    assert folder.problems() == [f"{LINE}:8:8: slots: found '${{env:BOX_SECRET}}'. Write a whole number"]


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            HUB_YAML, "environment: test", "environment: tets",
            "hub.yaml:1:14: environment: found 'tets'. Did you mean 'test'? Known here: production, sandbox, test",
        ),
        (
            HUB_YAML, "data: var", "data: var\ndatbase: x",
            ("hub.yaml:3:1: unknown key 'datbase'. Did you mean 'database'? "
             "Known here: data, database, environment, logging, tenants"),
        ),
        (HUB_YAML, "data: var\n", "", "hub.yaml:1:1: the key 'data' is missing. Add `data: …`"),
        (HUB_YAML, "data: var", "data:", "hub.yaml:2:6: data: found nothing. Write a path"),
        (HUB_YAML, "data: var", "data: [var]", "hub.yaml:2:7: data: found a list. Write a path"),
        (HUB_YAML, "data: var", "data: var\nlogging: {level: loud}",
         "hub.yaml:3:18: level: found 'loud'. Known here: debug, error, info, warning"),
        (
            TENANT_YAML, "service: kindergarten", "service: kindergarden",
            f"{TENANT_YAML}:7:91: service: found 'kindergarden'. Did you mean 'kindergarten'? Known here: ",
        ),
        (
            TENANT_YAML, f'"{OTHER}"', '"900001011"',
            (f"{TENANT_YAML}:7:69: not an organisation number. Write nine digits without blanks; "
             "the last one is a control digit"),
        ),
        (
            TENANT_YAML, "units:", "folder_is_archive: true\nunits:",
            f"{TENANT_YAML}:1:1: `folder_is_archive` without a folder. Add `archive: {{folder: …}}`",
        ),
        (
            TENANT_YAML, "keys/fjordvik.key", "config/keys/fjordvik.key",
            (f"{TENANT_YAML}:5:11: the key file lies inside the configuration folder. Move it out: "
             "the folder is copied, backed up and shown, and a key may never be"),
        ),
        (
            FIRST, "system: letterbox", "system: leterbox",
            f"{FIRST}:1:9: unknown system 'leterbox'. Did you mean 'letterbox'? Known here: letterbox",
        ),
        (
            FIRST, "readers: unit", "readers: unti",
            f"{FIRST}:6:10: readers: found 'unti'. Did you mean 'unit'? Known here: unit",
        ),
        (FIRST, "15m", "15 min", f"{FIRST}:7:19: not a duration. Write a number and a unit: 30s, 15m, 2h or 1d"),
        (
            FIRST, "{every: 15m}", "{zone: Europe/Oslo}",
            (f"{FIRST}:7:11: a schedule needs either `every` or `cron`. "
             'Write {every: 15m} or {cron: "15 5 * * *"}'),
        ),
        (FIRST, "{every: 15m}", '{cron: "5 * *"}', f"{FIRST}:7:18: not a cron time. Write five fields"),
        (FIRST, "{every: 15m}", '{cron: "60 5 * * *"}', f"{FIRST}:7:18: not a cron time. Write five fields"),
        (FIRST, "{every: 15m}", '{cron: "0 5 * * mon"}', f"{FIRST}:7:18: not a cron time. Write five fields"),
        (FIRST, "{every: 15m}", "{every: 1h, zone: Oslo}", f"{FIRST}:7:29: not a time zone. "),
        (FIRST, "{every: 15m}", "{every: 15m}\noverlap: queue",
         f"{FIRST}:8:10: overlap: found 'queue'. Known here: skip, wait"),
        (FIRST, "{every: 15m}", "{every: 15m}\nmisfire_grace: 10",
         f"{FIRST}:8:16: not a duration. Write a number and a unit: 30s, 15m, 2h or 1d"),
        (FIRST, "{every: 15m}", "{every: 15m}\nmisfire_grase: 10m",
         f"{FIRST}:8:1: unknown key 'misfire_grase'. Did you mean 'misfire_grace'?"),
        (FIRST, "{every: 15m}", "{every: 15m}\ncatch_up: last",
         f"{FIRST}:8:11: catch_up: found 'last'. Did you mean 'latest'? Known here: all, latest, none"),
        (FIRST, "{every: 15m}", "{evry: 15m}", f"{FIRST}:7:12: unknown key 'evry'. Did you mean 'every'?"),
        (FIRST, "readers: unit", "readers: unit\ndeliver: ja",
         f"{FIRST}:7:10: deliver: found 'ja'. Write true or false"),
        (FIRST, "readers: unit", "readers: unit\nslot: 2", f"{FIRST}:7:1: unknown key 'slot'. Did you mean 'slots'?"),
        (FIRST, "readers: unit", "readers: unit\ntenant: x", f"{FIRST}:7:1: unknown key 'tenant'. "),
        (FIRST, "services: [kindergarten, school]", "services: school",
         f"{FIRST}:5:11: services: found 'school'. Write a list, [a, b]"),
        (
            FIRST, "readers: unit", "readers: unit\nconfirmed: {by: Leder, on: 20.11.2026}",
            f"{FIRST}:7:28: on: found '20.11.2026'. Write the date as year-month-day, 2026-11-20",
        ),
        (SHARING, "valid_from: 2026-01-01", "", f"{SHARING}:2:1: the key 'valid_from' is missing."),
        (SHARING, "health:", "helth:", f"{SHARING}:5:3: found 'helth'. Did you mean 'health'?"),
        (SHARING, "named:", "namd:", f"{SHARING}:5:31: unknown key 'namd'. Did you mean 'named'?"),
        (SHARING, "parts:", "part:", f"{SHARING}:4:1: unknown key 'part'. Did you mean 'parts'?"),
    ],
)  # fmt: skip
def test_a_mistake_says_where_what_and_the_remedy(folder: Folder, file: str, old: str, new: str, problem: str) -> None:
    """One mistake gives one line: file, line, column, what was found, and what would be right."""
    folder.change(file, old, new)
    (found,) = folder.problems()
    assert found.startswith(f"config/{problem}")


def test_all_mistakes_come_together(folder: Folder) -> None:
    """Mistakes in several files are told in one go, so that they are mended in one go."""
    folder.change(HUB_YAML, "test", "tets")
    folder.change(TENANT_YAML, "language: nn", "language: sv")
    folder.change(FIRST, "system: letterbox\n", "")
    folder.files[SHARING] = "[1, 2\n"
    places = [problem.split(": ")[0] for problem in folder.problems()]
    assert places == [
        "config/hub.yaml:1:14",
        f"{LINE}:1:1",
        f"config/{SHARING}:2:1",
        f"config/{TENANT_YAML}:3:11",
    ]


def test_a_folder_is_named_by_its_number(folder: Folder) -> None:
    """A tenant's folder that is named otherwise than its number is refused at the number."""
    folder.files[f"tenants/{OTHER}/tenant.yaml"] = TENANT_FILE
    problem = f"found '{TENANT}' in the folder '{OTHER}'. Name the folder by the number"
    assert folder.problems() == [f"config/tenants/{OTHER}/tenant.yaml:2:22: {problem}"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (f"tenants/{TENANT}/connection/x.yaml", "connection:1:1: nothing reads this. Did you mean 'connections'?"),
        (f"tenants/{TENANT}/connections/x.yml", "x.yml:1:1: nothing reads this. Give it a name ending in .yaml"),
        (f"tenants/{TENANT}/connections/X y.yaml", "X y.yaml:1:1: a file name that can't name a connection."),
        (f"tenants/{TENANT}/rules/sharng.yaml", "sharng.yaml:1:1: no rules are called 'sharng'. Did you mean "),
    ],
)  # fmt: skip
def test_a_file_that_nothing_reads_is_a_mistake(folder: Folder, name: str, problem: str) -> None:
    """A misspelt file or folder is told, not silently passed over."""
    folder.files[name] = CONNECTION
    (found,) = folder.problems()
    assert problem in found


def test_only_the_tenants_named_are_loaded(folder: Folder) -> None:
    """The list of tenants in hub.yaml chooses folders; a number without a folder is refused."""
    folder.files[f"tenants/{OTHER}/tenant.yaml"] = TENANT_FILE.replace(TENANT, OTHER)
    folder.files[HUB_YAML] = f'{HUB}tenants: ["{OTHER}"]\n'
    assert [tenant.organisation_number for tenant in folder.load().tenants] == [OTHER]
    folder.files[HUB_YAML] = f'{HUB}tenants: ["900001029"]\n'
    assert "no folder for tenant 900001029" in folder.problems()[0]


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    """Where there is no configuration, the first thing to do is said."""
    assert [problem.split(". ")[0] for problem in Folder(tmp_path).problems()] == [
        "config/hub.yaml:1:1: the file is missing",
        "config/tenants:1:1: no tenant",
    ]


def test_names_are_enough_where_there_is_one_tenant(folder: Folder) -> None:
    """A connection is found by its name alone until there is a second tenant; an unknown one names the nearest."""
    assert folder.load().connection("first") == folder.load().connection(f"{TENANT}/first")
    with pytest.raises(NotConfigured, match=rf"No connection 'frist'\. Did you mean '{TENANT}/first'\?"):
        folder.load().connection("frist")
    folder.files[f"tenants/{OTHER}/tenant.yaml"] = TENANT_FILE.replace(TENANT, OTHER)
    with pytest.raises(NotConfigured, match="more than one tenant"):
        folder.load().connection("first")


def test_rules_hold_from_their_day(folder: Folder) -> None:
    """Of several dated rule sets the latest that has begun holds; before the first there is none."""
    later = RULES.replace("2026-01-01", "2027-01-01").replace("false", "true")
    folder.files[SHARING] = "".join(f"- {text.rstrip().replace(chr(10), chr(10) + '  ')}\n" for text in (later, RULES))
    tenant = folder.tenant()
    held = [tenant.rule_on(Sharing, day) for day in (date(2025, 12, 31), date(2026, 12, 31), date(2027, 1, 1))]
    assert [rule and rule.parts[Part.HEALTH].named for rule in held] == [None, False, True]


def test_two_rule_sets_from_one_day_are_a_mistake(folder: Folder) -> None:
    """Two sets from the same day contradict one another, so both places are told."""
    folder.files[SHARING] = 2 * f"- {RULES.rstrip().replace(chr(10), chr(10) + '  ')}\n"
    assert [problem.split(". ")[0] for problem in folder.problems()] == [
        f"config/{SHARING}:{line}:3: two rule sets from 2026-01-01" for line in (1, 6)
    ]


def _in_production(folder: Folder) -> None:
    folder.change(HUB_YAML, "test", "production")
    folder.files = {name.replace(TENANT, REAL_SERIES): text for name, text in folder.files.items()}
    name = TENANT_YAML.replace(TENANT, REAL_SERIES)
    folder.files[name] = folder.files[name].replace(TENANT, REAL_SERIES)


def test_production_loads_with_real_addresses(folder: Folder) -> None:
    """Encrypted addresses of a vendor and a number of the real series are all that production asks for."""
    _in_production(folder)
    assert folder.load().environment == "production"


@pytest.mark.parametrize(
    "address",
    ["http://box.vendor.no", "https://localhost:8080", "https://127.0.0.1", "https://[::1]:9", "https://a.example/x"],
)
def test_production_refuses_the_sandbox(folder: Folder, address: str) -> None:
    """In production an address that can only be a simulator's, or is not encrypted, is refused by key and place."""
    _in_production(folder)
    folder.environ["BOX_URL"] = address
    (found,) = folder.problems()
    assert ":3:11: 'base_url' names the sandbox or an unencrypted address, in production. " in found
    assert address not in found


@pytest.mark.parametrize("number", ["900001002", "310000019"])
def test_production_refuses_made_up_numbers(folder: Folder, number: str) -> None:
    """The example's numbers and those of the test registers are refused in production."""
    folder.change(HUB_YAML, "test", "production")
    folder.files = {name.replace(TENANT, number): text.replace(TENANT, number) for name, text in folder.files.items()}
    (found,) = folder.problems()
    assert "a made-up organisation number in production. Write the municipality's own" in found


@given(st.integers(0, 99_999_999))
def test_one_digit_at_most_completes_a_number(eight: int) -> None:
    """For any eight digits at most one control digit passes, and each slip in one digit of a right number is caught."""
    right = [number for digit in range(10) if _passes(number := f"{eight:08}{digit}")]
    assert len(right) <= 1
    for number in right:
        slips = {f"{number[:i]}{d}{number[i + 1 :]}" for i in range(9) for d in "0123456789"} - {number}
        assert not any(map(_passes, slips))


def _passes(number: str) -> bool:
    try:
        return organisation_number(number) == number
    except Wrong:
        return False


def test_limits_of_a_connection_have_defaults_and_can_be_set(folder: Folder) -> None:
    """Breaker, rate and the longest peace are bounded without a word in the file, and as the file says with it."""
    first = folder.tenant().connections[0]
    assert (first.breaker.failures, first.breaker.period, first.rate) == (5, timedelta(minutes=1), None)
    assert first.longest_peace == timedelta(hours=24)
    told = "readers: unit\nbreaker: {failures: 3, period: 30s}\nrate: {per_second: 0.5}\nlongest_peace: 2h"
    folder.change(FIRST, "readers: unit", told)
    first = folder.tenant().connections[0]
    assert (first.breaker.failures, first.breaker.period) == (3, timedelta(seconds=30))
    assert first.rate is not None
    assert first.rate.per_second == 0.5
    assert first.longest_peace == timedelta(hours=2)


@pytest.mark.parametrize("wrong", ["breaker: {failures: 0}", "rate: {per_second: 0}", "longest_peace: 24"])
def test_limits_that_mean_nothing_are_refused(folder: Folder, wrong: str) -> None:
    """A breaker that is always open, no call a second, and a time without its unit are mistakes, each with its line."""
    folder.change(FIRST, "readers: unit", f"readers: unit\n{wrong}")
    (problem,) = folder.problems()
    assert problem.startswith(f"config/{FIRST}:7:")


KEY_SERVICE = """\
key_service:
  address: https://nokler.fjordvik.example:8200
  key: stafetthub
  token: ${env:BOX_SECRET}
  wrapped: keys/fjordvik.wrapped"""


def test_a_key_service_stands_in_the_place_of_a_key_file(folder: Folder) -> None:
    """Its token is a secret, its file lies beside the configuration, and the engine is where it is by default."""
    folder.change(TENANT_YAML, "key_file: keys/fjordvik.key", KEY_SERVICE)
    found = folder.tenant().key_service
    assert found is not None
    assert (found.mount, found.wrapped) == ("transit", folder.root / "keys" / "fjordvik.wrapped")
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("https://nokler", "http://nokler", "not an address that a key may travel to"),
        (":8200", ":8200/v1", "not an address that a key may travel to"),
        ("key: stafetthub", "key: ../sys/raw", "not a name in a key service"),
        ("${env:BOX_SECRET}", "hvs.written-out", "a secret written in the file"),
        ("key_service:", "key_file: keys/fjordvik.key\nkey_service:", "a tenant needs one of"),
    ],
)
def test_a_key_service_that_cannot_be_is_refused(folder: Folder, old: str, new: str, said: str) -> None:
    """An open address, a path in it, a name that leads elsewhere, a token in the file, and two places for one key."""
    folder.change(TENANT_YAML, "key_file: keys/fjordvik.key", KEY_SERVICE.replace(old, new))
    (problem,) = folder.problems()
    assert said in problem
