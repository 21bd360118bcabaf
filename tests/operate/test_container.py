"""The image runs without root, with libraries by hash, and knows when it is ill. It is read here, not built."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LINES = re.sub(r"\\\n", " ", (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]


def _last(instruction: str) -> str:
    return [rest for name, rest in STEPS if name == instruction][-1]


def test_it_does_not_run_as_root() -> None:
    """The user is a named one that the image makes, and no step follows that could change it back."""
    after = [name for name, _ in STEPS[STEPS.index(["USER", "stafetthub"]) + 1 :]]
    assert set(after) <= {"VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert any(name == "RUN" and "useradd --system --uid 10001" in rest for name, rest in STEPS)


def test_libraries_come_by_hash_and_are_not_compiled() -> None:
    """What is installed is what the requirement file's hashes say, as finished wheels."""
    (install,) = [rest for name, rest in STEPS if name == "RUN" and "pip install" in rest]
    assert "--require-hashes --only-binary :all: -r /requirements.txt" in install


def test_it_reports_its_health() -> None:
    """The container asks the hub itself, by a command that needs no shell."""
    command = json.loads(_last("HEALTHCHECK").partition("CMD ")[2])
    assert command == ["hub", "status", "--health"]
    assert json.loads(_last("ENTRYPOINT")) + json.loads(_last("CMD")) == ["hub", "run"]


def test_only_what_runs_is_copied() -> None:
    """Everything copied from the checkout exists and passes the ignore file; configuration, keys and data never do."""
    allowed = [line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [rest.split()[0] for name, rest in STEPS if name == "COPY" and not rest.startswith("--from")]
    assert set(copied) == set(allowed)
    assert all((CHECKOUT / name).exists() for name in copied)
    assert not any(fnmatch(name, pattern) for name in ("config", "var", ".git", "tests") for pattern in allowed)


def test_both_stages_start_from_the_same_image() -> None:
    """Libraries were made for the Python that runs them."""
    assert len({rest.split()[0] for name, rest in STEPS if name == "FROM"}) == 1
