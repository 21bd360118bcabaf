"""A template's options for its payload, checked before the first record: every key known, every value of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from hub.payloads.base import Limits


class OptionsError(Exception):
    """A mapping's options for its payload say something that cannot be.

    `path` is the keys that lead to it, so that the mapping's reader can show the line; `remedy` is what would be right.
    """

    def __init__(self, path: Sequence[str], problem: str, remedy: str) -> None:
        super().__init__(f"{'/'.join(path) or 'options'}: {problem}. {remedy}")
        self.path = tuple(path)
        self.problem = problem
        self.remedy = remedy


class Options:
    """The options of one payload. All values may be text, as a YAML file at node level gives them."""

    def __init__(self, given: Mapping[str, object], *known: str) -> None:
        self.given = given
        for name in given:
            if name not in (*known, "limits"):
                raise OptionsError([name], "no option of this format", f"Known: {', '.join([*known, 'limits'])}")
        self.limits = self._limits()

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; an empty one where the option isn't set."""
        return words(self.given.get(name, ()), [name])

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices; the first where the option isn't set."""
        found = self.given.get(name, choices[0])
        if not isinstance(found, str) or found not in choices:
            raise OptionsError([name], "no known choice", f"Write one of {', '.join(choices)}")
        return found

    def table(self, name: str) -> Mapping[str, object]:
        """Return a mapping of keys to values; an empty one where the option isn't set."""
        return table(self.given.get(name, {}), [name])

    def _limits(self) -> Limits:
        known = [field.name for field in fields(Limits)]
        limits = Limits()
        for name, value in self.table("limits").items():
            if name not in known:
                raise OptionsError(["limits", name], "no known limit", f"Known: {', '.join(known)}")
            number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 16 else value
            if not isinstance(number, int) or number < 1:
                raise OptionsError(["limits", name], "no whole number", "Write a whole number from 1")
            limits = replace(limits, **{name: number})
        return limits


def table(value: object, path: Sequence[str]) -> Mapping[str, object]:
    """Refuse anything but a mapping."""
    if not isinstance(value, Mapping):
        raise OptionsError(path, "not a mapping", "Write keys and values")
    return value


def words(value: object, path: Sequence[str]) -> tuple[str, ...]:
    """Refuse anything but a list of texts."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise OptionsError(path, "not a list of texts", "Write a list")
    return tuple(value)


def pointers(value: object, path: Sequence[str]) -> tuple[str, ...]:
    """Refuse anything but a list of JSON Pointers."""
    found = words(value, path)
    for one in found:
        if not one.startswith("/") or one.endswith("/"):
            raise OptionsError(path, f"'{one}' is no pointer", "Begin with / and the name of the outermost element")
    return found
