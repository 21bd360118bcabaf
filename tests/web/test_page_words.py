"""The page's texts: every language says everything, every code has words, and the right language is chosen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hub.web
from hub.relaylog.consent import Missing
from hub.relaylog.gates import ANOTHER_PERSON, MOVED_RECORD, Decider
from hub.relaylog.rights import RESTRICTED
from hub.store.connections import StopCode
from hub.store.tables import RunState
from hub.sync.archive import BROKEN, HOLDS, MIXED
from hub.sync.route import FIRST_CONTACT, NO_RECORD, RESTLESS
from hub.web.status import ERRORS, TOLD
from hub.web.words import LANGUAGES, WORDS, choose

STYLE = (Path(hub.web.__file__).parent / "static" / "status.css").read_text(encoding="utf-8")


def test_every_language_says_everything() -> None:
    """The three tables have the same keys, and no text is empty."""
    assert set(WORDS) == set(LANGUAGES)
    assert {frozenset(words) for words in WORDS.values()} == {frozenset(WORDS["nb"])}
    assert all(text.strip() == text and text for words in WORDS.values() for text in words.values())


def test_every_code_has_words() -> None:
    """Each role, run state, stop and error has a text, so that the page never lacks one."""
    wanted = [f"decider.{role}" for role in Decider] + [f"run.{state}" for state in RunState]
    wanted += [f"verdict.{stop}" for stop in StopCode if stop is not StopCode.RATE_LIMITED]
    wanted += [f"error.{word}" for word in {*ERRORS.values(), "system", "answer", "send"}]
    assert set(wanted) <= set(WORDS["nb"])


def test_reasons_that_reveal_have_no_words_of_their_own() -> None:
    """Every reason that may be told has words; those that reveal have none, and so can't be shown."""
    archive = {hold.reason: hold.revealing for hold in (*HOLDS.values(), BROKEN, MIXED)}
    tellable = {*map(str, Missing), "not_started", "no_agreement", "protection_unknown", "internal_error"}
    tellable |= {FIRST_CONTACT.reason, NO_RECORD.reason, RESTLESS.reason, RESTRICTED.reason}
    tellable |= {ANOTHER_PERSON.reason, MOVED_RECORD.reason}
    revealing = {"violence", "address_protected", "guardian_barred", *(name for name, yes in archive.items() if yes)}
    assert tellable | (archive.keys() - revealing) | {"special"} == TOLD
    assert not revealing & TOLD


@pytest.mark.parametrize(
    ("asked", "header", "language"),
    [
        ("nn", "en", "nn"),
        ("", "", "nb"),
        ("", "de, fr;q=0.9", "nb"),
        ("", "no", "nb"),
        ("", "en-GB,en;q=0.9,nb;q=0.5", "en"),
        ("", "en;q=0.2, nn-NO;q=0.8", "nn"),
        ("", "en;q=0, nn;q=x", "nb"),
        ("tlh", "en", "en"),
    ],
)
def test_the_language_is_chosen(asked: str, header: str, language: str) -> None:
    """The link decides, then the browser's wish by its weights, then bokmål."""
    assert choose(asked, header) == language


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(scheme: str) -> None:
    """Every colour of text reaches the contrast of 4.5 to 1 (WCAG 1.4.3) on every ground it stands on."""
    first, second = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", first if scheme == "light" else second))
    pairs = [(text, ground) for text in ("text", "soft", "link", "bad") for ground in ("ground", "sheet")]
    pairs += [(kind, f"{kind}-ground") for kind in ("ok", "wait", "bad")]
    assert {pair: ratio for pair in pairs if (ratio := _contrast(*(colours[name] for name in pair))) < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
