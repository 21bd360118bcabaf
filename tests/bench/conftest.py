"""Benchmarks are collected like tests, from files that begin with `bench_`."""

from pathlib import Path

import pytest


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect a benchmark, unless it is named on the command line and so collected already."""
    named = parent.session.isinitpath(file_path)
    is_bench = file_path.name.startswith("bench_") and file_path.suffix == ".py"
    return pytest.Module.from_parent(parent, path=file_path) if is_bench and not named else None
