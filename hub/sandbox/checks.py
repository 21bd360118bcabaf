"""What a simulated system looks at before it accepts a record: known codes and real dates, named by place only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from hub.sandbox.case import Json


@dataclass(frozen=True, slots=True)
class Problem:
    """A place in a record and what is wrong there. Never the value."""

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Checks:
    """The rules of one system: allowed codes by path without indices, names of date fields, and how a date is read."""

    codes: Mapping[str, frozenset[str]]
    dates: frozenset[str]
    day_first: bool

    def problems(self, record: Json) -> list[Problem]:
        """List every unknown code and impossible date, in the order of the record."""
        return [problem for path, value in _leaves(record, "") if (problem := self._problem(path, value))]

    def _problem(self, path: str, value: object) -> Problem | None:
        if value is None:
            return None
        known = self.codes.get(path)
        if known is not None and value not in known:
            return Problem(path, "unknown code")
        if path.rpartition(".")[2] in self.dates and not self._is_date(value):
            return Problem(path, "not a date")
        return None

    def _is_date(self, value: object) -> bool:
        text = str(value)
        if self.day_first:
            text = "-".join(reversed(text.split(".")))
        try:
            return len(text) == 10 and date.fromisoformat(text) is not None
        except ValueError:
            return False


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, path)
    else:
        yield path, value
