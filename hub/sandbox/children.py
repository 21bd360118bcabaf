"""Synthetic families: invented compound names, national ids of the test population, and who works with them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from hub.relaylog.nationalid import generate
from hub.sandbox.case import Guardian, Person, words
from hub.sandbox.municipality import KINDERGARTENS, SCHOOLS, Unit, Worker, ascii_address, staff_of

_FIRST = words(
    "Solskinn Havbris Måneskinn Regnboge Snøkrystall Blåklokke Tindeveg Rognebær Fjøresand Nordlys Myrull Elveglitter "
    "Bjørkelauv Skydott Fuglesong Tyttebær Vindrose Krabbeklo Liljekonval Dalbotn Isblome Morgonraude Maurtue"
)
_LAST = words(
    "Testbarn Testfjord Prøvedal Testvik Prøveøy Testberg Prøvesund Testeng Prøvebakk Testskog Prøvevatn Testheim "
    "Prøvefoss Testgard Prøvegrend Testneset Prøveli Testsletta Prøvehavn Testodden"
)
_PARENT_FIRST = words(
    "Bølgjeskum Granbar Solsnu Lavastein Kornblom Havtåke Furukongle Lyngrein Sjøstjerne Rimfrost Kvitveis Storbåre"
)


@dataclass(frozen=True, slots=True)
class Family:
    """A child with two guardians who share its last name."""

    child: Person
    guardians: tuple[Guardian, Guardian]


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything one story draws on: its own randomness, the day, and the child's running number.

    `again` counts how often the same story has been told before, so that a story can vary from one child to the next.
    """

    rng: Random
    today: date
    number: int
    again: int = 0

    def ago(self, days: int) -> date:
        """Name the day that many days before today."""
        return self.today - timedelta(days=days)

    def ahead(self, days: int) -> date:
        """Name the day that many days after today."""
        return self.today + timedelta(days=days)

    def clock(self, day: date) -> datetime:
        """Pick a minute of that day's working hours, in UTC."""
        return datetime(day.year, day.month, day.day, self.rng.randint(7, 13), self.rng.randint(0, 59), tzinfo=UTC)

    def kindergarten(self) -> Unit:
        """Pick a kindergarten."""
        return self.rng.choice(KINDERGARTENS)

    def school(self) -> Unit:
        """Pick a school."""
        return self.rng.choice(SCHOOLS)

    def nearest(self, unit: Unit) -> Worker:
        """Name the member of staff nearest the children of a unit."""
        return staff_of(unit)[0]

    def family(self, youngest: int, oldest: int, kind: str = "BARN") -> Family:
        """Invent a family whose child is so many whole years old, both ends included."""
        age = self.rng.randint(youngest, oldest)
        born = self.ago(age * 365 + age // 4 + self.rng.randint(100, 355))
        last = _LAST[self.number % len(_LAST)]
        first = _FIRST[(self.number // len(_LAST) + self.rng.randrange(2) * 11) % len(_FIRST)]
        child = Person(
            first, last, generate(self.rng, born), born, self.rng.choice(("male", "female", "notKnown")), kind=kind
        )
        mother, father = self.rng.sample(_PARENT_FIRST, 2)
        return Family(child, (self._guardian(mother, last, "MOR"), self._guardian(father, last, "FAR")))

    def _guardian(self, first: str, last: str, relation: str) -> Guardian:
        born = self.ago(self.rng.randint(22 * 366, 48 * 365))
        return Guardian(
            name=f"{first} {last}",
            national_id=generate(self.rng, born),
            relation=relation,
            phone=f"+47 00 {self.number % 100:02} {self.rng.randint(10, 99)} {self.rng.randint(10, 99)}",
            email=ascii_address(f"{first}.{last}@familie.example"),
        )
