"""The sandbox as a whole: edits, proof, restart on the same folder, and the blocking command."""

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import httpx

from hub.sandbox.door import Clock
from hub.sandbox.proof import check_proof
from hub.sandbox.server import Sandbox, open_key, open_world
from hub.sandbox.world import World

TODAY = date(2026, 11, 21)


def test_both_systems_prove_that_they_are_a_sandbox(sandbox: Sandbox) -> None:
    """Each system's token checks with the key of the folder and its own address only."""
    tokens = {name: httpx.get(f"{url}/_sandbox/token").json()["token"] for name, url in sandbox.urls.items()}
    for name, url in sandbox.urls.items():
        assert check_proof(sandbox.proof_key, url, tokens[name])
    assert not check_proof(sandbox.proof_key, sandbox.urls["vigilo"], tokens["samspill"])


def test_edits_are_deterministic(sandbox: Sandbox, tmp_path: Path, clock: Clock) -> None:
    """The same seed edits the same logs in the same way in two sandboxes of the same world."""
    other = tmp_path / "other"
    with Sandbox(open_world(other, 20, 1, TODAY), open_key(other), clock) as twin:
        for system in ("vigilo", "samspill"):
            for seed in (4, 5):
                asked = {"count": 6, "seed": seed}
                ours = httpx.post(f"{sandbox.urls[system]}/_sandbox/edit", json=asked).json()
                theirs = httpx.post(f"{twin.urls[system]}/_sandbox/edit", json=asked).json()
                assert ours == theirs
                assert len(ours["edited"]) == 6
        assert sandbox.world == twin.world


def test_an_edit_is_not_a_write_received(sandbox: Sandbox) -> None:
    """What the system's own users do raises versions and is not listed as received."""
    before = {key: plan["version"] for key, plan in sandbox.world.samspill.items()}
    url = sandbox.urls["samspill"]
    edited = httpx.post(f"{url}/_sandbox/edit", json={"count": 3}).json()["edited"]
    assert all(sandbox.world.samspill[key]["version"] == before[key] + 1 for key in edited)
    assert httpx.get(f"{url}/_sandbox/received").json() == {"received": []}


def test_a_restart_goes_on_with_the_same_state(tmp_path: Path, clock: Clock) -> None:
    """World, key and credentials survive, whatever number of children is asked for the second time."""
    with Sandbox(open_world(tmp_path, 20, 1, TODAY), open_key(tmp_path), clock) as first:
        httpx.post(f"{first.urls['vigilo']}/_sandbox/edit", json={"count": 2})
    with Sandbox(open_world(tmp_path, 99, 2, TODAY), open_key(tmp_path), clock) as second:
        assert second.world == first.world
        assert second.credentials == first.credentials
    assert (tmp_path / "sandbox.key").stat().st_mode & 0o777 == 0o600


def test_an_accepted_change_is_on_disk_before_it_is_answered(sandbox: Sandbox, tmp_path: Path) -> None:
    """A sandbox that is killed after an answer has lost nothing of it."""
    httpx.post(f"{sandbox.urls['vigilo']}/_sandbox/edit", json={"count": 1})
    assert World.load(tmp_path / "world.json") == sandbox.world


def test_the_command_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """One line a server, both answer, files are dropped, variables written; SIGTERM ends it with the state on disk."""
    code = (
        "from datetime import date; from pathlib import Path; from hub.sandbox.alone import run_sandbox; "
        f"run_sandbox(Path({str(tmp_path)!r}), 3, 1, (0, 0), date(2026, 11, 21))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline().split() for _ in range(2)]
        assert [name for name, _ in lines] == ["vigilo", "samspill"]
        assert {httpx.get(f"{url}/_sandbox/token").status_code for _, url in lines} == {200}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert len(World.load(tmp_path / "sandbox" / "world.json").tales) == 3 + 4
    assert len(list((tmp_path / "mapper" / "profil" / "in").iterdir())) == 2
    assert "STAFETTHUB_VIGILO_SECRET=" in (tmp_path / "sandbox.env").read_text()
