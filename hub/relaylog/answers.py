"""Answers of the rules, each with its words: why not, who is missing, what is wrong.

Unlike a code list no template fills them and nothing foreign is read into them, so they have no `unknown`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from hub.relaylog.codes import Language
from hub.relaylog.model import Label


class Answer(StrEnum):
    """One answer of a rule. It equals its code, and carries its words in each language."""

    words: Label

    def __new__(cls, code: str, nb: str, nn: str, en: str) -> Self:
        """Make the member a plain string, so that a hold and a log line carry the code alone."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = Label(nb, nn, en)
        return member

    def label(self, language: Language) -> str:
        """Return the words for people."""
        return self.words.text(language)
