"""The interval at which logs that go on are archived is a setting, and is told to those whom it concerns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.office import CONFIG, TENANT, Office, municipality
from tests.operate.test_example_config import CONFIG as EXAMPLE

RULES = EXAMPLE / "tenants" / TENANT / "rules" / "archive.yaml"


def _office(folder: Path, line: str = "") -> Office:
    """Give a municipality whose folder is its archive, with one more line about it."""
    archive = f"folder_is_archive: true\narchive:\n  folder: {folder}/arkiv\n{line}"
    made = municipality(folder, {"tenant.yaml": CONFIG + archive, "rules/archive.yaml": RULES.read_text("utf-8")})
    (folder / "arkiv").mkdir()
    return made


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "the folder counts as the archive"),
        ("  every_months: 1\n", "the archive; logs that go on are archived too, 1 month after the last time"),
        ("  every_months: 6\n", "the archive; logs that go on are archived too, 6 months after the last time"),
    ],
)
def test_the_check_tells_whether_logs_that_go_on_are_archived(tmp_path: Path, line: str, told: str) -> None:
    """It is off where nothing is written, and the check says what holds."""
    output = _office(tmp_path, line).hub("check").output
    assert told in output
    assert ("logs that go on" in output) is bool(line)


@pytest.mark.parametrize("months", ["0", "121", "half", "0.5"])
def test_what_is_no_interval_is_refused_with_its_place(tmp_path: Path, months: str) -> None:
    """It is a whole number of months, at least one and at most ten years of them; the line is named."""
    found = _office(tmp_path, f"  every_months: {months}\n").hub("check")
    assert found.exit_code != 0
    assert f"tenant.yaml:11:17: every_months: found '{months}'" in str(found.exception)


@pytest.mark.parametrize(
    ("line", "purpose"),
    [
        ("", "arkivere dem når de er avsluttet |"),
        ("  every_months: 1\n", "når de er avsluttet, og hver måned så lenge de er aktive eller på pause |"),
        ("  every_months: 6\n", "når de er avsluttet, og hver 6. måned så lenge de er aktive eller på pause |"),
    ],
)
def test_the_privacy_page_tells_what_is_archived_when(tmp_path: Path, line: str, purpose: str) -> None:
    """Who protects the data reads of it where the purpose stands."""
    page = tmp_path / "side.md"
    assert _office(tmp_path, line).hub("report", "privacy", "--out", str(page)).exit_code == 0
    assert purpose in page.read_text("utf-8")
