"""What a configuration says, as frozen values. The keys are those of the files; `config/` shows each with a comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    Tag,
    ValidationInfo,
    model_validator,
)

from hub.engine.occurrences import Cron, CronError
from hub.operate.settings.reading import GIVEN, Wrong, suggest
from hub.relaylog.codes import Service

_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@|-]{0,119}")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_UNIT_ID = re.compile(r"(?!.*[0-9]{11})[a-z0-9][a-z0-9_-]{0,39}")
LONGEST_ADDRESS = 254
Environment = Literal["sandbox", "test", "production"]
LogLevel = Literal["debug", "info", "warning", "error"]
M = TypeVar("M", bound=BaseModel)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class NotConfigured(LookupError):
    """A connection or tenant was named that the configuration does not have."""


def organisation_number(text: str) -> str:
    """Take an organisation number: nine digits, the last a control digit by mod 11 (Brønnøysundregistrene)."""
    if re.fullmatch(r"[0-9]{9}", text):
        weighted = sum(int(digit) * weight for digit, weight in zip(text, (3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True))
        if weighted % 11 == 0:
            return text
    raise Wrong("not an organisation number", "Write nine digits without blanks; the last one is a control digit")


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if found := re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise Wrong("not a duration", "Write a number and a unit: 30s, 15m, 2h or 1d")


def _cron(text: str) -> str:
    try:
        return Cron(text, ZoneInfo("UTC")).text
    except CronError:
        raise Wrong(
            "not a cron time",
            "Write five fields of numbers: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7 (0 and 7 are "
            'Sunday), "15 5 * * *"',
        ) from None


def _zone(name: str) -> str:
    if name in available_timezones():
        return name
    raise Wrong("not a time zone", "Write a name of the zone list, Europe/Oslo")


def _anchored(path: Path, info: ValidationInfo) -> Path:
    """Read a relative path from the configuration folder's parent, wherever the hub was started."""
    root = (info.context or {}).get("root")
    return Path(root) / path if root else path


def _key_file(path: Path, info: ValidationInfo) -> Path:
    config = (info.context or {}).get("config")
    if config and path.resolve().is_relative_to(config):
        raise Wrong(
            "the key file lies inside the configuration folder",
            "Move it out: the folder is copied, backed up and shown, and a key may never be",
        )
    return path


def _key_service(address: str) -> str:
    if re.fullmatch(r"https://[^/?#@]+/?|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/?", address):
        return address
    raise Wrong(
        "not an address that a key may travel to",
        "Write https://host:8200, without a path; http:// only for a service on this machine",
    )


def _in_key_path(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", text):
        return text
    raise Wrong("not a name in a key service", "Write letters a-z, digits, _ and -, such as transit or stafetthub")


def _address(text: str) -> str:
    if len(text) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(text):
        return text
    raise Wrong("not an e-mail address", "Write one address without a name: postmottak@kommune.example")


def _user_id(text: str) -> str:
    if _USER_ID.fullmatch(text):
        return text
    raise Wrong("not a user id", "Write the id that stands in the log of events: letters a-z, digits and _.@|-")


Address = Annotated[str, AfterValidator(_address)]
OrganisationNumber = Annotated[str, AfterValidator(organisation_number)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
AnchoredPath = Annotated[Path, AfterValidator(_anchored)]
KeyFile = Annotated[AnchoredPath, AfterValidator(_key_file)]
Readers = Annotated[
    Annotated[Literal["unit"], Tag("unit")] | Annotated[frozenset[Service], Tag("services")],
    Discriminator(lambda value: "unit" if isinstance(value, str) else "services"),
]


class Frozen(BaseModel):
    """A value that can't be changed, and takes no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Schedule(Frozen):
    """When a connection runs: at even intervals (`every`), or at fixed local times (`cron` in `zone`)."""

    every: Duration | None = None
    cron: Annotated[str, AfterValidator(_cron)] | None = None
    zone: Annotated[str, AfterValidator(_zone)] = "Europe/Oslo"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise Wrong("a schedule needs either `every` or `cron`", 'Write {every: 15m} or {cron: "15 5 * * *"}')
        return self


class Confirmed(Frozen):
    """Who in the municipality confirmed with the vendor that the assumed settings are right, and when."""

    by: str
    on: date


class Controller(Frozen):
    """Another controller than the municipality, such as the owner of a private kindergarten."""

    name: str
    organisation_number: OrganisationNumber


class Timeouts(Frozen):
    """How long one call may take, in seconds: to connect, between two reads, and altogether."""

    connect: PositiveFloat = 5
    read: PositiveFloat = 30
    total: PositiveFloat = 60


class Breaker(Frozen):
    """After how many failures in a row the hub leaves a system alone, and how often it then tries once."""

    failures: PositiveInt = 5
    period: Duration = timedelta(minutes=1)


class Rate(Frozen):
    """How many attempts a second a system takes, from all of the hub's workers together."""

    per_second: PositiveFloat


class ConnectionSettings(Frozen):
    """One configured system of one tenant. `own` holds what its kind of system needs, as the connector declares.

    `overlap`, `misfire_grace` and `catch_up` say what becomes of a time that comes while the last run is not done, and
    of one that the hub notices too late. `longest_peace` is how long the hub stays away at most when a system asks for
    peace. `controller` is who answers for the system's data, where it is not the municipality.
    """

    tenant: Annotated[str, GIVEN]
    name: Annotated[str, GIVEN]
    own: Annotated[BaseModel, GIVEN]
    system: str
    mapping: str
    services: frozenset[Service]
    readers: Readers
    controller: Controller | None = None
    verified_ids: bool = False
    first_contact: Literal["hold", "send"] = "hold"
    deliver: bool = False
    schedule: Schedule | None = None
    overlap: Literal["wait", "skip"] = "wait"
    misfire_grace: Duration = timedelta(minutes=10)
    catch_up: Literal["none", "latest", "all"] = "latest"
    profile: Mapping[str, str] = {}
    confirmed: Confirmed | None = None
    timeouts: Timeouts = Timeouts()
    breaker: Breaker = Breaker()
    rate: Rate | None = None
    longest_peace: Duration = timedelta(hours=24)

    @property
    def id(self) -> str:
        """`<organisation number>/<name>`, the name of the connection everywhere."""
        return f"{self.tenant}/{self.name}"


class DatedRule(Frozen):
    """A rule set from a day on, with where it comes from and who decided it."""

    name: Annotated[str, GIVEN]
    value: Annotated[BaseModel, GIVEN]
    valid_from: date
    source: str
    decided_by: str


class ArchiveFolder(Frozen):
    """Where packages are put. Encrypted to the tenant's key unless `plain`.

    `alarm_after` is how long a closed log may wait for the archive's proof before the status report says so.
    `every_months` has logs archived that are not closed too, so many months after the last time.
    """

    folder: AnchoredPath
    plain: bool = False
    alarm_after: Duration = timedelta(days=7)
    every_months: Annotated[int, Field(ge=1, le=120)] | None = None


class UnitSettings(Frozen):
    """One unit of the municipality. `id` is how the configuration and the pages name it.

    `controller` is who answers for its data, where it is not the municipality.
    """

    id: str
    name: str
    organisation_number: OrganisationNumber
    service: Service
    controller: Controller | None = None


class MailSettings(Frozen):
    """The mail server that reminders leave by, from whom, and to which address of each unit.

    Addresses are those of functions: who reads there changes, and nobody's own address stands in a file.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretStr | None = None
    ca_file: AnchoredPath | None = None
    sender: Address
    remind: Mapping[str, Address]
    schedule: Schedule = Schedule(cron="0 7 * * 1")

    @model_validator(mode="after")
    def _log_in(self) -> Self:
        if bool(self.user) != (self.password is not None):
            raise Wrong("a log-in needs both `user` and `password`", "Add `password: ${env:…}`, or leave out both")
        return self

    @property
    def stays_here(self) -> bool:
        """Tell whether the mail server is on this machine, so that nothing crosses a network."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Role(StrEnum):
    """What somebody may be to the relay logs of a municipality."""

    OPERATOR = "operator"
    HOLDER = "holder"
    UNIT_LEADER = "unit_leader"
    CASE_READER = "case_reader"
    RULE_OWNER = "rule_owner"
    ARCHIVIST = "archivist"
    DATA_PROTECTION_OFFICER = "data_protection_officer"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class Grant(Frozen):
    """One role of one user: for which units and services (all where none is named), from when, and by whom granted.

    `parts` are those that take a grant of their own. `known_as` is how systems write the name of a holder: own logs
    are those that name them so.
    """

    user: Annotated[str, AfterValidator(_user_id)]
    role: Role
    units: frozenset[str] = frozenset()
    services: frozenset[Service] = frozenset()
    parts: frozenset[Literal["health", "child_welfare"]] = frozenset()
    known_as: str = Field(default="", repr=False)
    valid_from: date
    valid_to: date | None = None
    granted_by: str

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.role is Role.UNIT_LEADER and not self.units:
            raise Wrong("a unit leader without units", "Add `units: [id]`, as they stand in tenant.yaml")
        if self.role is Role.HOLDER and not self.known_as:
            raise Wrong("a holder without `known_as`", "Write the name as the systems do: `known_as: …`")
        if self.valid_to and self.valid_to < self.valid_from:
            raise Wrong("`valid_to` is before `valid_from`", "Write the last day that the grant holds")
        return self

    def holds_on(self, day: date) -> bool:
        """Tell whether the grant holds on a day, its first and last included."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class KeyServiceSettings(Frozen):
    """A key service that opens the tenant's wrapped key: the Transit engine of HashiCorp Vault or OpenBao.

    `mount` is where the engine is, `key` its key, `wrapped` the file that `hub keys wrap` made, `ca_file` the PEM file
    that the service's certificate is believed by, where it is not the machine's own store.
    """

    address: Annotated[str, AfterValidator(_key_service)]
    mount: Annotated[str, AfterValidator(_in_key_path)] = "transit"
    key: Annotated[str, AfterValidator(_in_key_path)]
    token: SecretStr
    wrapped: AnchoredPath
    ca_file: AnchoredPath | None = None


class TenantSettings(Frozen):
    """One municipality: who it is, its units, its connections, its dated rules, and the folder of its own mappings."""

    connections: Annotated[tuple[ConnectionSettings, ...], GIVEN]
    rules: Annotated[tuple[DatedRule, ...], GIVEN]
    mappings: Annotated[Path | None, GIVEN] = None
    roles: Annotated[tuple[Grant, ...] | None, GIVEN] = None
    name: str
    organisation_number: OrganisationNumber
    language: Literal["nb", "nn"]
    controller: str
    key_file: KeyFile | None = None
    key: SecretStr | None = None
    key_service: KeyServiceSettings | None = None
    wipe_after: Duration | None = None
    folder_is_archive: bool = False
    archive: ArchiveFolder | None = None
    units: tuple[UnitSettings, ...] = ()
    mail: MailSettings | None = None

    @model_validator(mode="after")
    def _reminded_units(self) -> Self:
        known = {unit.id for unit in self.units}
        for name in self.mail.remind if self.mail else ():
            if name not in known:
                raise Wrong(f"`mail` reminds '{name}', which is no unit's id", suggest(name, known))
            if not _UNIT_ID.fullmatch(name):
                raise Wrong(
                    f"the unit '{name}' can't be named in the log of events", "Give it an id of a-z, 0-9, - and _"
                )
        return self

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if sum(given is not None for given in (self.key_file, self.key, self.key_service)) != 1:
            raise Wrong(
                "a tenant needs one of `key_file`, `key` and `key_service`",
                "Add `key_file: ${env:…}` with the file's path",
            )
        return self

    @model_validator(mode="after")
    def _folder_for_archive(self) -> Self:
        if self.folder_is_archive and not self.archive:
            raise Wrong("`folder_is_archive` without a folder", "Add `archive: {folder: …}`")
        return self

    def rule_on(self, model: type[M], day: date) -> M | None:
        """Give the rule set of a kind that holds on a day: the one with the latest `valid_from` up to it."""
        held = [r for r in self.rules if isinstance(r.value, model) and r.valid_from <= day]
        value = max(held, key=lambda rule: rule.valid_from).value if held else None
        return value if isinstance(value, model) else None


class Logging(Frozen):
    """How much is logged."""

    level: LogLevel = "info"


class HubFile(Frozen):
    """The keys of `hub.yaml`."""

    environment: Environment
    data: AnchoredPath
    database: SecretStr | None = None
    tenants: tuple[OrganisationNumber, ...] | None = None
    logging: Logging = Logging()


class HubSettings(Frozen):
    """The whole configuration. `data` is the folder for sealed files and state, `database` a SQLAlchemy URL."""

    environment: Environment
    data: Path
    database: SecretStr
    log_level: LogLevel
    tenants: tuple[TenantSettings, ...]

    @property
    def archive_alarms(self) -> Mapping[str, timedelta]:
        """After how long a closed log that is not archived is told of, by municipality."""
        return {each.organisation_number: each.archive.alarm_after for each in self.tenants if each.archive}

    def connection(self, name: str) -> ConnectionSettings:
        """Find a connection by `<organisation number>/<name>`, or by name alone where there is one tenant.

        Raises NotConfigured, which says what would be right.
        """
        if "/" not in name and len(self.tenants) != 1:
            raise NotConfigured("There is more than one tenant: name the connection as <organisation number>/<name>")
        full = name if "/" in name else f"{self.tenants[0].organisation_number}/{name}"
        known = {c.id: c for tenant in self.tenants for c in tenant.connections}
        if full not in known:
            raise NotConfigured(f"No connection '{name}'. {suggest(full, known)}")
        return known[full]
