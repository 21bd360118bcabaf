"""What goes wrong when a mapping meets a record: the place and the remedy are named, the value never is."""

from __future__ import annotations

from collections.abc import Sequence


class MappingError(Exception):
    """A record doesn't fit its mapping: quarantine it, and mend the record or the mapping's rule.

    `pointer` is the JSON Pointer of the place in the record, `path` the canonical path that the rule fills, `file`
    and `line` where the rule stands, `remedy` what would be right. The text never shows what the record holds.
    """

    def __init__(self, *, mapping: str, pointer: str, path: str, file: str, line: int, remedy: str) -> None:
        super().__init__(f"{mapping}: {pointer or '/'} does not fit {path} ({file}:{line}). Expected {remedy}")
        self.mapping = mapping
        self.pointer = pointer
        self.path = path
        self.file = file
        self.line = line
        self.remedy = remedy


class Unclaimed(Exception):
    """No mapping claims a record, or several do: mend the `when:` of those named in `claimed_by`."""

    def __init__(self, claimed_by: Sequence[str]) -> None:
        found = f"Claimed by {', '.join(claimed_by)}" if claimed_by else "No mapping claims it"
        remedy = "let 'when:' tell them apart" if claimed_by else "check 'when:' and the record's kind"
        super().__init__(f"exactly one mapping must claim a record. {found}: {remedy}")
        self.claimed_by = tuple(claimed_by)


class Refused(Exception):
    """A codec or a reader met something else than it reads. It never leaves the package: it becomes a MappingError.

    `rule` is the rule's number in its mapping. `pointer` is relative to the object being read, and grows as the error
    passes outwards through the lists; None means the rule's own place.
    """

    def __init__(self, rule: int, remedy: str, pointer: str | None = None) -> None:
        super().__init__(remedy)
        self.rule = rule
        self.remedy = remedy
        self.pointer = pointer

    def inside(self, prefix: str, places: tuple[str, ...]) -> None:
        """Note that it happened in the row at `prefix`; `places` are the pointers of all rules."""
        self.pointer = prefix + (places[self.rule] if self.pointer is None else self.pointer)
