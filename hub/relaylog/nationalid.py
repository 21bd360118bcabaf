"""National ids: told apart, checked and masked here, because the common library refuses synthetic ones.

Five shapes share eleven digits `DDMMYYIIICC`: the birth number, the D-number (day + 40), the H-number (month + 40),
the synthetic number of the test population (month + 80), and D combined with either. Control digits prove that a
number is well formed, never that it belongs to somebody.
Source: Skatteetaten, "Nytt fødselsnummer fra 2032" and the population register's documentation of test data.
"""

import random
import re
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

_K1_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_K2_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_K1_REMAINDERS = (0, 1, 2, 3)  # 0 alone until 2032; all four from then on

_DAY_OF_D_NUMBER = 40
_MONTH_OF_H_NUMBER = 40
_MONTH_OF_SYNTHETIC = 80

# Individual numbers, years of birth; holds for every number given out before 2032.
_CENTURIES = (
    (range(500, 750), range(1854, 1900)),
    (range(500), range(1900, 2000)),
    (range(900, 1000), range(1940, 2000)),
    (range(500, 1000), range(2000, 2040)),
)


class NationalIdKind(Enum):
    """What a number is, read from the offsets on day and month."""

    FNR = "fnr"
    DNR = "dnr"
    HNR = "hnr"
    D_HNR = "d_hnr"
    SYNTHETIC = "synthetic"
    D_SYNTHETIC = "d_synthetic"


class InvalidNationalId(ValueError):
    """The text is no national id. The message says what is wrong with it, never the digits."""


@dataclass(frozen=True, slots=True)
class NationalId:
    """A well-formed number. `birth_date` is None where the century can't be derived (the 2032 rule).

    Derived dates hold for numbers given out before 2032; a date from a register outranks them.
    """

    value: str = field(repr=False)
    kind: NationalIdKind
    birth_date: date | None = field(repr=False)

    @property
    def synthetic(self) -> bool:
        """True for the test population's numbers, which sandbox and tests require and production refuses."""
        return self.kind in {NationalIdKind.SYNTHETIC, NationalIdKind.D_SYNTHETIC}


def parse(text: str) -> NationalId:
    """Read eleven digits, with or without one blank after the sixth. Raises `InvalidNationalId`."""
    digits = text.strip()
    if digits[6:7] == " ":
        digits = digits[:6] + digits[7:]
    if len(digits) != 11 or not (digits.isascii() and digits.isdigit()):
        raise InvalidNationalId("a national id has eleven digits")
    remainder = _k1_remainder(digits)
    if remainder not in _K1_REMAINDERS or (_weighted(digits, _K2_WEIGHTS) + int(digits[10])) % 11:
        raise InvalidNationalId("the control digits do not fit")
    kind, day, month = _unshifted(int(digits[:2]), int(digits[2:4]))
    year = int(digits[4:6])
    # A later year of the same leap pattern stands in for the unknown century, so that 30 February is refused.
    _real_date(2000 + year, month, day)
    return NationalId(digits, kind, _birth_date(digits, year, month, day) if remainder == 0 else None)


def generate(rng: random.Random, born: date) -> str:
    """Make a synthetic number (month + 80) for someone born 1900-2039, lawful before and after 2032.

    The generator is handed in: the same state gives the same number.
    """
    if not 1900 <= born.year <= 2039:
        raise ValueError("born: synthetic numbers are made for the years 1900-2039")
    individuals = range(500) if born.year < 2000 else range(500, 1000)
    while True:
        nine = f"{born.day:02}{born.month + _MONTH_OF_SYNTHETIC:02}{born:%y}{rng.choice(individuals):03}"
        k1 = -_weighted(nine, _K1_WEIGHTS) % 11
        k2 = -_weighted(f"{nine}{k1}", _K2_WEIGHTS) % 11
        if k1 < 10 and k2 < 10:
            return f"{nine}{k1}{k2}"


def mask(value: str) -> str:
    """Give what may be shown of a number: its kind, and no digit."""
    try:
        return f"*********** ({parse(value).kind.value})"
    except InvalidNationalId:
        return "***********"


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11


def _k1_remainder(digits: str) -> int:
    return (_weighted(digits, _K1_WEIGHTS) + int(digits[9])) % 11


def _unshifted(day: int, month: int) -> tuple[NationalIdKind, int, int]:
    d_number = day > _DAY_OF_D_NUMBER
    day -= _DAY_OF_D_NUMBER * d_number
    if month > _MONTH_OF_SYNTHETIC:
        return (
            NationalIdKind.D_SYNTHETIC if d_number else NationalIdKind.SYNTHETIC,
            day,
            month - _MONTH_OF_SYNTHETIC,
        )
    if month > _MONTH_OF_H_NUMBER:
        return NationalIdKind.D_HNR if d_number else NationalIdKind.HNR, day, month - _MONTH_OF_H_NUMBER
    return NationalIdKind.DNR if d_number else NationalIdKind.FNR, day, month


def _birth_date(digits: str, year: int, month: int, day: int) -> date | None:
    individual = int(digits[6:9])
    for individuals, years in _CENTURIES:
        for century in (1800, 1900, 2000):
            if individual in individuals and century + year in years:
                return _real_date(century + year, month, day)
    return None


def _real_date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise InvalidNationalId("day and month are no date") from None


_ELEVEN = re.compile(r"(?<![0-9])[0-9]{11}(?![0-9])")


def holds_national_id(text: str) -> bool:
    """Tell whether eleven digits on their own in a text are a national id: an id that tells who it is about."""
    return any(_is_one(found) for found in _ELEVEN.findall(text))


def _is_one(digits: str) -> bool:
    try:
        parse(digits)
    except InvalidNationalId:
        return False
    return True
