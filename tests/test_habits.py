"""Habits that no linter knows: what may never stand in a tracked file, and what every file and test begins with."""

from __future__ import annotations

import ast
import gc
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from hub.relaylog.nationalid import InvalidNationalId, parse

CHECKOUT = Path(__file__).resolve().parents[1]
PUBLISHED = {"02013299997", "30108299920", "30108299939", "13527248013"}  # printed by the authorities as examples

# Put together from halves, so that this file does not hold what it forbids.
REGISTRIES = (
    ("py", "pi.org"),
    ("python", "hosted"),
    ("npm", "js."),
    ("deb.deb", "ian"),
    ("cra", "tes.io"),
    ("proxy.gol", "ang"),
    ("repo1.mav", "en"),
    ("unp", "kg"),
    ("jsdel", "ivr"),
)
MACHINE = re.compile(r"(?<![\w.$}/-])/(?:ho" r"me|Us" r"ers|ro" r"ot|wo" r"rk|t" r"mp)/\w")
ELEVEN_DIGITS = re.compile(r"(?<!\d)\d{6} ?\d{5}(?!\d)")


BINARY = (".pdf", ".docx", ".zip", ".png")
"""Endings of what is no text; samples may be text in other encodings, as real systems send them."""


@cache
def _files() -> dict[str, str]:
    """Read every text file that git tracks or would track."""
    git = shutil.which("git")
    assert git, "git is missing"
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    texts = {}
    for name in filter(None, listed.stdout.decode().split("\0")):
        raw = (CHECKOUT / name).read_bytes() if (CHECKOUT / name).is_file() else b"\0"
        if b"\0" not in raw and not name.endswith(BINARY):
            texts[name] = raw.decode("utf-8", errors="replace" if "/samples/" in name else "strict")
    return texts


def _places(pattern: re.Pattern[str]) -> list[str]:
    """Name each line that matches, without what stands there."""
    lines = ((name, at, line) for name, text in _files().items() for at, line in enumerate(text.splitlines(), 1))
    return [f"{name}:{at}" for name, at, line in lines if pattern.search(line)]


@cache
def _python(under: str) -> dict[str, ast.Module]:
    files = {name: text for name, text in _files().items() if name.endswith(".py") and name.startswith(under)}
    gc.collect()
    gc.disable()  # what is thrown away meanwhile may print a traceback, which parses: Python 3.11 cannot do so twice
    try:
        return {name: ast.parse(text) for name, text in files.items()}
    finally:
        gc.enable()


def test_no_address_of_a_registry() -> None:
    """Where packages come from is the installer's setting, not the project's."""
    assert _places(re.compile("|".join(re.escape(a + b) for a, b in REGISTRIES))) == []


def test_no_path_of_a_machine() -> None:
    """No file knows a folder of the computer that it was written on."""
    assert _places(MACHINE) == []


def test_no_number_that_could_be_a_living_person() -> None:
    """Every number that passes as a national id is synthetic, or an example that the authorities printed."""
    hashes = {"requirements.txt", "requirements-dev.txt"}
    found = [
        name
        for name, text in _files().items()
        if name not in hashes and any(_could_live(number) for number in ELEVEN_DIGITS.findall(text))
    ]
    assert found == []


def test_every_python_file_says_why_it_exists() -> None:
    """Each module begins with a docstring."""
    assert [name for name, tree in _python("").items() if not ast.get_docstring(tree)] == []


def test_every_test_says_what_it_shows() -> None:
    """Each test function has a docstring, one sentence that ends."""
    silent = [
        f"{name}:{node.lineno}"
        for name, tree in _python("tests/").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not (ast.get_docstring(node) or "").rstrip().endswith((".", "?"))
    ]
    assert silent == []


def test_decisions_are_numbered_and_complete() -> None:
    """Each record has its number, and says context, decision and consequences."""
    records = {name: text for name, text in sorted(_files().items()) if name.startswith("docs/decisions/")}
    numbers = [int(Path(name).name[:4]) for name in records]
    assert numbers == list(range(1, len(numbers) + 1))
    for name, text in records.items():
        heads = re.findall(r"^\*\*(Context|Decision|Consequences)\.\*\*", text, re.MULTILINE)
        assert heads == ["Context", "Decision", "Consequences"], name


def test_what_is_run_can_be_run() -> None:
    """The build server's entry is executable."""
    assert os.access(CHECKOUT / ".ci" / "run", os.X_OK)


SKIPS = """
import pytest
def test_skipped(): pytest.skip("because")
@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


@pytest.mark.parametrize(("ci", "sums"), [("true", "1 failed, 1 xfailed, 1 error"), ("", "2 skipped, 1 xfailed")])
def test_nothing_is_skipped_in_ci(tmp_path: Path, ci: str, sums: str) -> None:
    """A skipped test or module passes at a desk and fails in CI, with its reason; a known failure passes in both."""
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(SKIPS, encoding="utf-8")
    (tmp_path / "test_two.py").write_text(
        "import pytest\npytest.skip('x', allow_module_level=True)\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-rA", "--continue-on-collection-errors", "-p", "no:cacheprovider", "."]
    run = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "CI": ci}, check=False, capture_output=True, encoding="utf-8"
    )
    assert sums in run.stdout
    assert run.returncode == (1 if ci else 0)
    assert "because" in run.stdout


def _could_live(digits: str) -> bool:
    try:
        number = parse(digits)
    except InvalidNationalId:
        return False
    return not number.synthetic and number.value not in PUBLISHED
