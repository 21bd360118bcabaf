"""The variables that the example configuration names, for a running sandbox: what a person sources, the demo sets."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from hub.sandbox.fileservices import open_folders
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.server import Sandbox
from hub.store.sealing import new_key_file

FILES = "mapper"
"""The folder with the folders of the systems that exchange files, within the sandbox's own."""


def environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """Return the variables for a sandbox whose state, and the hub's, lies in a folder.

    Makes the municipality's key, the archive folder, and the folders of the systems that exchange files.
    """
    key_file = folder / "keys" / f"{MUNICIPALITY_ORGNR}.json"
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True)
        new_key_file(key_file)
    (folder / "arkiv").mkdir(exist_ok=True)
    open_folders(folder / FILES, sandbox.proof_key)
    vigilo, samspill = sandbox.urls["vigilo"], sandbox.urls["samspill"]
    return {
        "STAFETTHUB_DATA": str(folder),
        "STAFETTHUB_FILES": str(folder / FILES),
        "STAFETTHUB_KEY_FILE": str(key_file),
        "STAFETTHUB_SANDBOX_KEY": str(folder / "sandbox" / "sandbox.key"),
        "STAFETTHUB_VIGILO_URL": vigilo,
        "STAFETTHUB_VIGILO_TOKEN_URL": f"{vigilo}/realms/onedhub/protocol/openid-connect/token",
        "STAFETTHUB_VIGILO_SECRET": sandbox.credentials["vigilo"]["client_secret"],
        "STAFETTHUB_SAMSPILL_URL": f"{samspill}/api",
        "STAFETTHUB_SAMSPILL_TOKEN_URL": f"{samspill}/connect/token",
        "STAFETTHUB_SAMSPILL_SECRET": sandbox.credentials["samspill"]["client_secret"],
    }


def write_environment(variables: Mapping[str, str], path: Path) -> None:
    """Write variables as a file that a shell can source, readable by this user only."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()), encoding="utf-8")
