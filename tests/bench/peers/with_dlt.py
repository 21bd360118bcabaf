"""dlt on the same pages: nested values as JSON columns, merged into SQLite by id. Runs in an environment of its own.

It maps nothing, knows no child and seals nothing: the nearest that a general loader does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt  # type: ignore[import-not-found]
import requests  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parent))
from measured import measured  # type: ignore[import-not-found]


def main(url: str, folder: Path) -> None:
    """Read all pages into one table."""
    session = requests.Session()
    session.trust_env = False

    @dlt.resource(name="records", primary_key="id", write_disposition="merge", max_table_nesting=0)  # type: ignore[untyped-decorator]
    def records() -> Iterator[list[dict[str, object]]]:
        cursor: str | None = "0"
        while cursor is not None:
            page = session.get(f"{url}/relaylogs?cursor={cursor}", timeout=30).json()
            yield page["records"]
            cursor = page["next"]

    def work() -> int:
        target = dlt.destinations.sqlalchemy(f"sqlite:///{folder}/dlt.db")
        pipeline = dlt.pipeline("bench", destination=target, dataset_name="bench", pipelines_dir=str(folder / "dlt"))
        pipeline.run(records())
        with pipeline.sql_client() as client, client.execute_query("SELECT count(*) FROM records") as rows:
            return int(rows.fetchone()[0])

    measured(work)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
