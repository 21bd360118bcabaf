"""The made-up Fjordvik kommune: its units, staff and ids, in one place so that configuration can name the same.

No such municipality exists. The organisation numbers are made up in a series that the register has not used; they
pass the mod-11 check, because the hub refuses those that do not.
"""

import uuid
from dataclasses import dataclass

MUNICIPALITY_NAME = "Fjordvik kommune"
MUNICIPALITY_ORGNR = "900001002"
VIGILO_ORG_ID = "fjordvik.example"
VISMA_TENANT_ID = "5a6d0f0e-0000-4000-8000-f10d71c00001"
SAMSPILL_SCOPE = "samspill-api:plans"
VIGILO_CLIENT_ID = "stafetthub-fjordvik"
SAMSPILL_CLIENT_ID = "isv_stafetthub_fjordvik"

_NAMESPACE = uuid.UUID("6f2d7a52-9d0c-5b0e-8c53-0f10d71c0000")


def made_up_uuid(name: str) -> str:
    """Give the same UUID for the same name, in every world: ids that configuration and tests can count on."""
    return str(uuid.uuid5(_NAMESPACE, name))


def ascii_address(text: str) -> str:
    """Write an e-mail address without Norwegian letters."""
    return text.lower().translate(str.maketrans("æøå", "eoa"))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the municipality. `service` is a Vigilo service code, `affiliation` its id in Samspill."""

    key: str
    name: str
    orgnr: str
    service: str
    affiliation: str

    @property
    def vigilo_id(self) -> str:
        """Id in Vigilo's `/schools`, which lists kindergartens too."""
        return made_up_uuid(f"unit/{self.key}")


@dataclass(frozen=True, slots=True)
class Worker:
    """A member of staff. Names are invented compounds."""

    first_name: str
    last_name: str
    title: str
    unit: Unit
    phone: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        """Work address in a domain that can't exist."""
        return ascii_address(f"{self.first_name}.{self.last_name}@fjordvik.example")


SOLBAKKEN = Unit("solbakken", "Solbakken barnehage", "900001010", "BARNEHAGE", "A-11")
FJORA = Unit("fjora", "Fjøra barnehage", "900001029", "BARNEHAGE", "A-12")
TUSSEBU = Unit("tussebu", "Tussebu private barnehage", "900001037", "BARNEHAGE", "A-13")
FJORDVIK_SKULE = Unit("fjordvik-skule", "Fjordvik skule", "900001045", "SKULE", "A-21")
NORDSIDA_SKULE = Unit("nordsida-skule", "Nordsida skule", "900001053", "SKULE", "A-22")
HEALTH_STATION = Unit("helsestasjon", "Fjordvik helsestasjon", "900001061", "HELSESTASJON", "A-31")
MIDWIVES = Unit("jordmor", "Jordmortenesta i Fjordvik", "900001126", "JORDMOR", "A-32")
THERAPISTS = Unit("fysio-ergo", "Fysio- og ergoterapi i Fjordvik", "900001142", "FYSIO_ERGO", "A-33")
PPT = Unit("ppt", "PPT for Fjordvik", "900001088", "PPT", "A-41")
CHILD_WELFARE = Unit("barnevern", "Fjordvik barnevern", "900001096", "BARNEVERN", "A-42")
REFUGEE_SERVICE = Unit("nav-flyktning", "NAV Fjordvik flyktningteneste", "900001118", "NAV_FLYKTNING", "A-51")
COORDINATION = Unit("koordinerande", "Koordinerande eining i Fjordvik", "900001134", "KOORDINERANDE", "A-61")

KINDERGARTENS = (SOLBAKKEN, FJORA, TUSSEBU)
SCHOOLS = (FJORDVIK_SKULE, NORDSIDA_SKULE)
UNITS = (
    *KINDERGARTENS,
    *SCHOOLS,
    HEALTH_STATION,
    MIDWIVES,
    THERAPISTS,
    PPT,
    CHILD_WELFARE,
    REFUGEE_SERVICE,
    COORDINATION,
)

STAFF = (
    Worker("Lyngbris", "Testtun", "pedagogisk leiar", SOLBAKKEN, "+47 00 00 01 01"),
    Worker("Tindeglans", "Testtun", "styrar", SOLBAKKEN, "+47 00 00 01 02"),
    Worker("Bekkeblom", "Prøvevoll", "pedagogisk leiar", FJORA, "+47 00 00 01 03"),
    Worker("Furusus", "Prøvevoll", "barnehagelærar", FJORA, "+47 00 00 01 04"),
    Worker("Strandrug", "Testholt", "pedagogisk leiar", TUSSEBU, "+47 00 00 01 05"),
    Worker("Fjellrype", "Prøvehaug", "kontaktlærar", FJORDVIK_SKULE, "+47 00 00 02 01"),
    Worker("Haustlauv", "Testhaug", "sosiallærar", FJORDVIK_SKULE, "+47 00 00 02 02"),
    Worker("Vårsol", "Prøvestrand", "kontaktlærar", NORDSIDA_SKULE, "+47 00 00 02 03"),
    Worker("Sommarnatt", "Teststrand", "rektor", NORDSIDA_SKULE, "+47 00 00 02 04"),
    Worker("Morgondogg", "Prøvelid", "helsesykepleier", HEALTH_STATION, "+47 00 00 03 01"),
    Worker("Kveldsbris", "Testlid", "helsesykepleier", HEALTH_STATION, "+47 00 00 03 02"),
    Worker("Seljefløyte", "Prøvemo", "jordmor", MIDWIVES, "+47 00 00 03 03"),
    Worker("Steinrøys", "Testmo", "fysioterapeut", THERAPISTS, "+47 00 00 03 04"),
    Worker("Fjordblikk", "Prøveås", "PP-rådgiver", PPT, "+47 00 00 04 01"),
    Worker("Skogsti", "Testås", "kontaktperson", CHILD_WELFARE, "+47 00 00 04 02"),
    Worker("Havglimt", "Prøvenes", "familiekoordinator", REFUGEE_SERVICE, "+47 00 00 05 01"),
    Worker("Brurille", "Testnes", "koordinator", COORDINATION, "+47 00 00 06 01"),
)


def staff_of(unit: Unit) -> tuple[Worker, ...]:
    """Name the staff of a unit, the one nearest the children first."""
    return tuple(worker for worker in STAFF if worker.unit == unit)
