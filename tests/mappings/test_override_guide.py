"""The municipality's guide to changing a mapping, done as it says: its scripts, its file, a changed Word form."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hub
from hub.mappings import mappings_of
from hub.mappings.language import Tree
from hub.payloads import docx
from hub.payloads.registry import payload
from hub.payloads.yamlfile import FileError
from tests.mappings.make_forms import compilo_form, compilo_samples

ROOT = Path(hub.__file__).parent.parent
GUIDE = (ROOT / "docs" / "tilpasse-kartlegging.md").read_text(encoding="utf-8")
CHANGED = compilo_form(
    {"Namn på eininga": "Barnehage eller skule", "Ansvarleg": "Kven gjer det"},
    {"Avtalar": ("Dato", "Avtale", "Partar")},
)
NAMES = {"namn på eininga": "barnehage eller skule"}


def blocks(language: str) -> list[str]:
    """Return what the guide shows in blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def changed_values() -> Tree:
    """Return what stands in the changed form: the sample's values under the new labels, and an agreement."""
    tree = compilo_samples()["aktiv"]
    pairs, tables = tree["pairs"], tree["tables"]
    assert isinstance(pairs, dict)
    assert isinstance(tables, dict)
    measures = [
        {"tiltak": row["tiltak"], "kven gjer det": row.get("ansvarleg"), "frist": "01/06-2026", "status": "Planlagt"}
        for row in tables["tiltak"]
    ]
    agreed = [{"dato": "11/03-2026", "avtale": "Vi ringjest kvar fredag.", "partar": "Barnehagen; Regn Testforelder"}]
    return {
        **tree, "pairs": {NAMES.get(name, name): value for name, value in pairs.items()},
        "tables": {**tables, "tiltak": measures, "avtalar": agreed},
    }  # fmt: skip


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """Lay out a folder as the guide says: both forms, both scripts, and the mapping file."""
    (tmp_path / "skjema-tomt.docx").write_bytes(CHANGED)
    (tmp_path / "skjema-utfylt.docx").write_bytes(payload("docx", {}).encode(changed_values(), CHANGED))
    for name, text in zip(re.findall(r"Lagre dette som `(\w+\.py)`", GUIDE), blocks("python"), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "kartlegging").mkdir()
    (mapping,) = blocks("yaml")
    text = mapping.replace("FINGERPRINT", docx.fingerprint(CHANGED))
    (tmp_path / "kartlegging" / "compilo.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def run(office: Path, command: str) -> str:
    """Run a command of the guide in its folder, and return what it prints."""
    program, *arguments = command.split()
    assert program == "python"
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=office, env=surroundings, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


def test_the_guide_works_as_written(office: Path) -> None:
    """The commands show the form and its fingerprint, and read the changed form with the guide's file alone."""
    show, prove = (command.strip() for command in blocks("console"))
    shown = run(office, show)
    assert f'"form": "{docx.fingerprint(CHANGED)}"' in shown
    assert '"barnehage eller skule": "Prøvelia barnehage"' in shown
    proven = run(office, prove)
    first, second, *_ = proven.splitlines()
    assert first == "Kartlegging: compilo/stafettlogg versjon 2"
    assert first in GUIDE
    assert second.endswith(" 0")
    assert "Vi ringjest kvar fredag." in proven


def test_the_changed_form_is_read_and_written_through_the_file(office: Path) -> None:
    """Renamed labels, the new date and the added table are read, and the empty form filled in reads the same."""
    mapping = mappings_of(office / "kartlegging")["compilo/stafettlogg"]
    form = payload(mapping.payload, mapping.payload_options)
    run(office, blocks("console")[1].strip())
    for name in ("skjema-utfylt.docx", "skjema-tilbake.docx"):
        data = (office / name).read_bytes()
        record = form.decode(data)
        log = mapping.read(record)
        assert (log.unit.name, log.subject.name) == ("Prøvelia barnehage", "Solskinn Testbarn")
        assert [(str(one.deadline), one.responsible and one.responsible.name) for one in log.measures] == [
            ("2026-06-01", "Bris Prøvelærar"), ("2026-06-01", "Dis Prøvesøster"), ("2026-06-01", None),
        ]  # fmt: skip
        assert [(str(one.on), one.text, one.parties) for one in log.agreements] == [
            ("2026-03-11", "Vi ringjest kvar fredag.", ("Barnehagen", "Regn Testforelder")),
        ]  # fmt: skip
        assert form.encode(mapping.write(record, log), data) == data


def test_the_error_that_the_guide_shows_is_the_error_that_comes(office: Path) -> None:
    """The slip that the guide names is answered with its own words."""
    path = office / "kartlegging" / "compilo.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("responsible.name", "responsible.nam"), encoding="utf-8")
    with pytest.raises(FileError) as caught:
        mappings_of(office / "kartlegging")
    assert str(caught.value) == blocks("text")[0].strip()


def test_the_guide_names_every_change_of_the_form() -> None:
    """The table of the example says what the form built here has been changed in."""
    for word in ("Barnehage eller skule", "Kven gjer det", "01/06-2026", "Avtalar"):
        assert word in GUIDE
    assert docx.fingerprint(CHANGED) != docx.fingerprint(compilo_form())
