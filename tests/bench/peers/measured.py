"""How a peer tells what it took: seconds, seconds of CPU and the most memory, as one line of JSON."""

import json
import resource
import sys
import time
from collections.abc import Callable


def measured(work: Callable[[], int]) -> None:
    """Do the work, which returns how many records it stored, and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    taken = {
        "records": count,
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(taken) + "\n")
