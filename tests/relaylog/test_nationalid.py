"""National ids: the published numbers pass, single slips are caught, and digits never reach a message."""

from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.relaylog.nationalid import InvalidNationalId, NationalIdKind, generate, mask, parse

_BORN = st.dates(date(1900, 1, 1), date(2039, 12, 31))
_RANDOMS = st.randoms(use_true_random=False)
_NUMBERS = st.builds(generate, _RANDOMS, _BORN)


def _with_controls(nine: str, remainder: int) -> str | None:
    """Compute both control digits by the published sums, or None where one would need two digits."""
    k1 = (remainder - sum(int(d) * w for d, w in zip(nine, (3, 7, 6, 1, 8, 9, 4, 5, 2), strict=True))) % 11
    ten = f"{nine}{k1}"
    if k1 == 10:
        return None
    k2 = -sum(int(d) * w for d, w in zip(ten, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
    return None if k2 == 10 else f"{ten}{k2}"


@pytest.mark.parametrize(
    ("number", "kind", "born"),
    [
        ("02013299997", NationalIdKind.FNR, date(2032, 1, 2)),
        ("30108299920", NationalIdKind.FNR, date(1982, 10, 30)),
        ("30108299939", NationalIdKind.FNR, None),
        ("10915596784", NationalIdKind.SYNTHETIC, date(1955, 11, 10)),
        ("13527248013", NationalIdKind.HNR, date(1972, 12, 13)),
    ],
)
def test_published_numbers_pass_with_their_kind(number: str, kind: NationalIdKind, born: date | None) -> None:
    """The numbers printed by the authorities are read as what they are said to be."""
    found = parse(number)
    assert (found.kind, found.synthetic) == (kind, kind is NationalIdKind.SYNTHETIC)
    assert found.birth_date == born


@given(_RANDOMS, _BORN)
def test_generated_numbers_are_synthetic(rng: Random, born: date) -> None:
    """Every generated number parses as synthetic and carries the birth date it was made for."""
    made = parse(generate(rng, born))
    assert (made.kind, made.birth_date) == (NationalIdKind.SYNTHETIC, born)


@given(_NUMBERS, st.integers(0, 10), st.integers(1, 9))
def test_one_changed_digit_is_always_refused(number: str, place: int, step: int) -> None:
    """One slip never passes, not even under the 2032 rule: it frees k1 only, and k2 catches every single change."""
    changed = number[:place] + str((int(number[place]) + step) % 10) + number[place + 1 :]
    with pytest.raises(InvalidNationalId):
        parse(changed)


@given(_NUMBERS, st.integers(0, 10))
def test_k1_has_four_legal_values(number: str, remainder: int) -> None:
    """Of the eleven remainders of k1 exactly 0, 1, 2 and 3 are lawful, and the last three hide the century."""
    sibling = _with_controls(number[:9], remainder)
    if sibling is None:
        return
    if remainder > 3:
        with pytest.raises(InvalidNationalId):
            parse(sibling)
    else:
        assert (parse(sibling).birth_date is None) == (remainder > 0)


@given(_NUMBERS)
def test_d_and_synthetic_combine(number: str) -> None:
    """A synthetic number whose day is raised by 40 is a synthetic D-number of the same birth date."""
    combined = _with_controls(f"{int(number[:2]) + 40}{number[2:9]}", 0)
    if combined is not None:
        found = parse(combined)
        assert (found.kind, found.synthetic) == (NationalIdKind.D_SYNTHETIC, True)
        assert found.birth_date == parse(number).birth_date


@pytest.mark.parametrize(
    ("start", "kind"),
    [("5352724", NationalIdKind.D_HNR), ("1352724", NationalIdKind.HNR), ("5312724", NationalIdKind.DNR)],
)
def test_offsets_on_day_and_month_name_the_kind(start: str, kind: NationalIdKind) -> None:
    """D-numbers raise the day, H-numbers the month, and both may be raised at once.

    Remainder 1 is used because no number given out before 2032 has it, so none of these is anybody's.
    """
    numbers = [_with_controls(f"{start}{end:02}", 1) for end in range(100)]
    assert {parse(number).kind for number in numbers if number} == {kind}


@pytest.mark.parametrize(
    "text", ["", "1091559678", "109155967844", "1091559678x", "１０９１５５９６７８４", "10915596785"]
)
def test_what_is_no_number_is_refused_without_its_digits(text: str) -> None:
    """Wrong length, letters, foreign digits and bad controls raise, and the message holds no digit."""
    with pytest.raises(InvalidNationalId) as caught:
        parse(text)
    assert not any(sign.isdigit() for sign in str(caught.value))


def test_impossible_dates_are_refused() -> None:
    """The thirtieth of a synthetic February and day 00 have lawful controls and are no dates."""
    for nine in ("308219123", "008119123", "329919123"):
        numbers = [_with_controls(f"{nine[:6]}{end:03}", 0) for end in range(900, 1000)]
        for number in filter(None, numbers):
            with pytest.raises(InvalidNationalId):
                parse(number)


def test_a_blank_after_the_sixth_digit_is_read() -> None:
    """Forms print the number in two groups; the value is kept without the blank."""
    assert parse(" 109155 96784 ").value == "10915596784"


def test_digits_are_in_no_representation() -> None:
    """Neither repr nor mask shows a digit of the number or its birth date."""
    found = parse("10915596784")
    assert not any(sign.isdigit() for sign in repr(found) + mask(found.value))
    assert mask(found.value) == "*********** (synthetic)"
    assert mask("no number 17") == "***********"


@given(_RANDOMS)
def test_only_years_with_a_century_rule_are_made(rng: Random) -> None:
    """A year outside 1900-2039 has no lawful synthetic number here."""
    with pytest.raises(ValueError, match="1900-2039"):
        generate(rng, date(2040, 1, 1))
