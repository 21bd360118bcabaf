"""`hub plan` as people use it: a hub, a simulated Samspill, and one log that was closed for an individual plan."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.commands.plan import BadPeople
from hub.commands.shared import NoSuchLog
from hub.operate.roles import NotAllowed
from hub.sandbox.case import Json
from hub.sandbox.children import Cast
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.server import Sandbox
from hub.sandbox.stories import individual_plan, ordinary_health_station
from hub.sandbox.world import World, _enter, _open_units
from hub.sync.plans import CannotPlan
from tests.commands.office import PLAN_YAML, SAMSPILL_YAML, municipality

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
CHILD, OTHER = "P-10001", "P-10002"
TENANT = f"""\
name: Fjordvik kommune
organisation_number: "{MUNICIPALITY_ORGNR}"
language: nb
controller: Fjordvik kommune
key_file: ${{env:KEY_FILE}}
"""
ROLES = """\
- {user: koordinator-1, role: holder, known_as: %s, granted_by: Oppdikta leder, valid_from: 2020-01-01}
"""


@dataclass
class Office:
    """A municipality's hub, the Samspill that it is connected to, and the folder of both."""

    folder: Path
    sandbox: Sandbox

    @property
    def environ(self) -> dict[str, str]:
        """What the configuration refers to."""
        return {
            "KEY_FILE": str(self.folder / "key.json"),
            "DATA": str(self.folder),
            "SAMSPILL": self.sandbox.urls["samspill"],
            "SECRET": self.sandbox.credentials["samspill"]["client_secret"],
            "COLUMNS": "250",
        }

    @property
    def config(self) -> tuple[str, str]:
        """The option that names the configuration."""
        return "--config", str(self.folder / "config")

    def hub(self, *arguments: str) -> Result:
        """Run a command that calls no system."""
        return CliRunner(env=self.environ).invoke(app, [*arguments, *self.config])

    def calling(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as a process of its own; `said` is what a person types."""
        command = [sys.executable, "-m", "hub", *arguments, *self.config]
        environ = {**os.environ, **self.environ}
        return subprocess.run(
            command, cwd=ROOT, env=environ, input=said, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def connection(self) -> Path:
        """The file of the connection."""
        return self.folder / "config" / "tenants" / MUNICIPALITY_ORGNR / "connections" / "samspill.yaml"

    def tasks(self) -> list[dict[str, str]]:
        """Return the tasks that wait."""
        done = self.hub("inbox", "list", "--kind", "task", "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    def log(self) -> str:
        """Return the id of the log that waits for a plan."""
        (task,) = self.tasks()
        return task["log"]

    def plans(self) -> list[Json]:
        """Return the individual plans that Samspill holds."""
        held = self.sandbox.world.samspill.values()
        return [plan for plan in held if plan["planTypeId"] == "INDIVIDUELL_PLAN"]

    def people(self, *lines: str) -> str:
        """Write the file of people, with a leader whose number is one of the other family, and give its path."""
        path = self.folder / "personer.txt"
        path.write_text("\n".join([f"lead {self.number(0)} Koordinator Testleder", *lines]), encoding="utf-8")
        return str(path)

    def number(self, at: int) -> str:
        """Return a synthetic number of nobody in the log."""
        return str(self.sandbox.world.samspill[OTHER]["family"][at]["nationalId"])

    def asking(self, *arguments: str, people: str = "") -> tuple[str, ...]:
        """Return the command that asks for the plan."""
        who = ("--people", people or self.people(), "--who", "koordinator-1", "--why", "Avtalt")
        return ("plan", "create", self.log(), *who, *arguments)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A hub that has read Samspill once."""
    folder = tmp_path_factory.mktemp("plan")
    world = World(seed=1, today=NOW.date().isoformat())
    _open_units(world, NOW.date())
    for number, story in enumerate((individual_plan, ordinary_health_station)):
        cast = Cast(Random(f"plan/{number}"), NOW.date(), number, 0)  # noqa: S311 - the same test tells the same
        _enter(world, story.__name__, story(cast))
    municipality(folder, {"tenant.yaml": TENANT, "connections/samspill.yaml": SAMSPILL_YAML + PLAN_YAML})
    with Sandbox(world, bytes(32), lambda: NOW) as running:
        made = Office(folder, running)
        done = made.calling("sync")
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def office(site: Office, tmp_path: Path) -> Iterator[Office]:
    """A copy of that hub; the plans that a test makes are taken out of Samspill afterwards."""
    folder = tmp_path / "office"
    shutil.copytree(site.folder, folder)
    yield Office(folder, site.sandbox)
    held = site.sandbox.world.samspill
    for plan_id in [plan_id for plan_id, plan in held.items() if plan["planTypeId"] == "INDIVIDUELL_PLAN"]:
        del held[plan_id]


def test_the_inbox_says_before_what_a_plan_does(office: Office) -> None:
    """Listed by its reason for the holder; shown with accounts, the lasting right, and who is ticked one by one."""
    (task,) = office.tasks()
    assert (task["reason"], task["addressed_to"]) == ("plan_wanted", "holder")
    assert "plan_wanted" in office.hub("inbox", "list").output
    shown = office.hub("inbox", "show", task["id"]).output
    for words in (f"hub plan create {task['log']}", "accounts", "lasting right", "one by one", "hub inbox done"):
        assert words in shown


def test_show_tells_who_can_be_ticked_and_names_nobody(office: Office) -> None:
    """Ids, relations and roles; no name and no number of anybody."""
    shown = office.hub("plan", "show", office.log(), "--who", "koordinator-1")
    assert shown.exit_code == 0, shown.output
    assert f"to be made in {MUNICIPALITY_ORGNR}/samspill" in shown.output
    assert "guardian, mother" in shown.output
    assert "needs a national id in the file" in shown.output
    plan = office.sandbox.world.samspill[CHILD]
    people = [plan["mainPerson"], plan["planLead"], *plan["family"], *plan["participants"]]
    for person in people:
        assert person["name"] not in shown.output
        assert person.get("nationalId", "-" * 11) not in shown.output


def test_a_plan_is_made_once_after_the_words_and_a_yes(office: Office) -> None:
    """A no makes nothing; a yes makes a plan of child and leader alone; the second time is refused."""
    asking = office.asking()
    refused = office.calling(*asking, said="n\n")
    assert refused.returncode == 1
    assert office.plans() == []
    assert len(office.tasks()) == 1
    done = office.calling(*asking, said="y\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("lasting right") < done.stdout.index("Make it?") < done.stdout.index("Made.")
    (plan,) = office.plans()
    assert plan["participants"] == []
    assert plan["planLead"]["name"] == "Koordinator Testleder"
    assert office.tasks() == []
    again = office.hub(*asking, "--yes")
    assert isinstance(again.exception, CannotPlan)
    assert "made already" in str(again.exception)
    assert len(office.plans()) == 1


def test_each_participant_is_ticked(office: Office) -> None:
    """A guardian by id alone, a professional with a number from stdin; both are in the plan, and nobody else."""
    shown = office.hub("plan", "show", office.log(), "--who", "koordinator-1").output
    ids = [line.split()[3] for line in shown.splitlines() if line.startswith("can be ticked")]
    guardian, party = ids[0], ids[-1]
    people = f"lead {office.number(0)} Koordinator Testleder\n{party} {office.number(1)}\n"
    asking = office.asking("--participant", guardian, "--participant", party, "--yes", people="-")
    done = office.calling(*asking, said=people)
    assert done.returncode == 0, done.stderr
    assert "Participants ticked: 2." in done.stdout
    (plan,) = office.plans()
    assert [each["roleId"] for each in plan["participants"]] == ["FORESATT", "DELTAKER"]


def test_the_plan_belongs_where_it_was_chosen(office: Office) -> None:
    """Listed by id and name from the system; an id that it lacks makes nothing, and one that it has is in the plan."""
    listed = office.calling("plan", "affiliations", office.log(), "--who", "koordinator-1", "--language", "nn")
    assert listed.returncode == 0, listed.stderr
    chosen, _, name = listed.stdout.splitlines()[1].partition("  ")
    wrong = office.calling(*office.asking("--affiliation", "A-99x", "--yes"))
    assert wrong.returncode == 1
    assert "hub plan affiliations" in wrong.stderr
    assert "A-99x" not in wrong.stderr
    assert office.plans() == []
    done = office.calling(*office.asking("--affiliation", chosen, "--yes"))
    assert done.returncode == 0, done.stderr
    (plan,) = office.plans()
    assert (plan["affiliation"]["id"], plan["affiliation"]["name"]) == (chosen, name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lead 1\n", "line 1"),
        ("lead 1 A B\nlead 2 C D\n", "line 2"),
        ("lead 1 A B\n\nen to tre\n", "line 3"),
        ("", "says who leads"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line_alone(office: Office, text: str | None, line: str) -> None:
    """Nothing that stands in the file is told, and no plan is made."""
    path = office.folder / "feil.txt"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    done = office.hub(*office.asking("--yes", people=str(path)))
    assert isinstance(done.exception, BadPeople)
    assert line in str(done.exception)
    assert "en to" not in str(done.exception)


def test_where_no_connection_makes_plans_it_is_done_by_hand_and_ticked_off(office: Office) -> None:
    """Without `plan` in the connection's file the words say so, and the task is noted as done."""
    office.connection.write_text(SAMSPILL_YAML, encoding="utf-8")
    (task,) = office.tasks()
    shown = office.hub("inbox", "show", task["id"]).output
    assert "make the plan in its system by hand" in shown
    assert "hub plan create" not in shown
    refused = office.hub(*office.asking("--yes"))
    assert isinstance(refused.exception, CannotPlan)
    assert "made by hand" in str(refused.exception)
    done = office.hub("inbox", "done", task["id"], "--who", "koordinator-1")
    assert done.exit_code == 0, done.output
    assert office.tasks() == []


def test_a_connection_that_only_reads_makes_no_plans(office: Office) -> None:
    """`deliver: false` holds for plans as well."""
    office.connection.write_text(SAMSPILL_YAML.replace("deliver: true", "deliver: false") + PLAN_YAML, encoding="utf-8")
    assert isinstance(office.hub(*office.asking("--yes")).exception, CannotPlan)


def test_a_role_is_asked_for(office: Office) -> None:
    """Where the municipality has grants, only the log's holder or leader may ask for a plan or see who can be in it."""
    log, asking = office.log(), office.asking("--yes")
    roles = office.connection.parents[1] / "roles.yaml"
    roles.write_text(ROLES % "Nokon Andre", encoding="utf-8")
    for asked in (("plan", "show", log, "--who", "koordinator-1"), asking):
        assert isinstance(office.hub(*asked).exception, NotAllowed)
    holder = office.sandbox.world.samspill[CHILD]["planLead"]["name"]
    roles.write_text(ROLES % json.dumps(holder), encoding="utf-8")
    assert office.hub("plan", "show", log, "--who", "koordinator-1").exit_code == 0


def test_an_unknown_log_is_told(office: Office) -> None:
    """With where ids are shown."""
    assert isinstance(office.hub("plan", "show", "no-such-log", "--who", "x").exception, NoSuchLog)
