"""How a peer tells what it took: seconds, seconds of CPU and the most memory, as one line of JSON."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def measured(work: Callable[[], int]) -> None:
    """Do the work, which returns how many records it stored, and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    taken = {
        "records": count,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "mib": _peak(),
    }
    sys.stdout.write(json.dumps(taken) + "\n")


def _peak() -> float:
    """Return the most memory of this program in MiB; getrusage would count what its parent had when it was started."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
