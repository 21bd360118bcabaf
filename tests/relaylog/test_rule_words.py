"""The words beside the codes of the rules: every answer can be told in bokmål, nynorsk and English."""

from __future__ import annotations

import pytest

from hub.relaylog.answers import Answer
from hub.relaylog.baton import Refusal, Trouble
from hub.relaylog.codes import Language
from hub.relaylog.consent import Missing, Needed, Refused, StillToSign
from hub.relaylog.life import Senseless

LANGUAGES: tuple[Language, ...] = ("nb", "nn", "en")
CODES: list[Answer] = [code for kind in (Missing, Needed, Trouble, Refusal, Senseless) for code in kind]


@pytest.mark.parametrize("code", CODES, ids=lambda code: f"{type(code).__name__}.{code}")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_answer_has_words(code: Answer, language: Language) -> None:
    """No word is empty, padded, or a bare code, and the answer itself is its code."""
    word = code.label(language)
    assert code == code.value == f"{code}"
    assert word == word.strip() != ""
    assert "_" not in word


@pytest.mark.parametrize("language", LANGUAGES)
def test_several_roles_are_listed_as_people_do(language: Language) -> None:
    """Three roles are parted by a comma and a word that tells whether one of them is enough."""
    three = (Needed.YOUTH, Needed.MOTHER, Needed.FATHER)
    text = Refused(Missing.SIGNER, to_sign=StillToSign(three)).text(language)
    words = [role.label(language) for role in three]
    assert f"{words[0]}, {words[1]} {'and' if language == 'en' else 'og'} {words[2]}." in text
