"""A mapping's own tests: the cases that stand beside it as data, then the laws on their records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from hub.mappings.language import Mapping, MappingError
from hub.mappings.language.laws import differences, get_put, put_get, put_put
from hub.operate.mappings.records import record_of
from hub.payloads.base import PayloadError, Tree
from hub.relaylog.model import RelayLog

_Places = tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How one test of one sample went. `broken` are places, or one line of what is wrong; none where it holds."""

    sample: str
    test: str
    broken: tuple[str, ...]


class UnreadableExpectation(Exception):
    """A file beside a sample isn't a relay log."""


def outcomes(mapping: Mapping, folder: Path) -> tuple[Outcome, ...]:
    """Run the cases of a mapping and the laws on each of their records. No value is told."""
    found: list[Outcome] = []
    for sample in mapping.samples:
        expect = folder / sample.expect
        try:
            record = record_of(folder / sample.record, mapping)
            found += [Outcome(sample.record, name, test()) for name, test in _tests(mapping, record, expect).items()]
        except (PayloadError, MappingError, UnreadableExpectation) as error:
            found.append(Outcome(sample.record, "read", (str(error),)))
    return tuple(found)


def _tests(mapping: Mapping, record: Tree, expect: Path) -> dict[str, Callable[[], _Places]]:
    return {
        "when": lambda: () if mapping.claims(record) else ("/",),
        "expect": lambda: _unexpected(mapping.read(record), expect),
        "get-put": lambda: get_put(mapping, record),
        "put-get": lambda: put_get(mapping, record, mapping.read(record)),
        "put-put": lambda: put_put(mapping, record, mapping.read(record)),
    }


def _unexpected(log: RelayLog, expect: Path) -> _Places:
    try:
        expected = RelayLog.model_validate_json(expect.read_bytes())
    except ValidationError as error:
        place = "/".join(str(step) for step in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise UnreadableExpectation(f"{expect.name}: not a relay log at /{place}. See `hub schema`") from None
    return tuple(differences(expected.model_dump(mode="json"), log.model_dump(mode="json")))
