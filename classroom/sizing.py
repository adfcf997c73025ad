"""How many cores, how much memory and disk a class needs, computed from what was measured (measured.json).

Usage: python classroom/sizing.py [30 300 3000]

measured.json holds what a kernel takes in each lesson (tools/kernel_memory.py --hub --json) and what a student's
arrival takes (classroom/hub_test.py --json). The rules are few, and stand in `needs`.
"""

import json
import math
import sys
from pathlib import Path

MEASURED = Path(__file__).with_name("measured.json")
ARRIVE_S = 180  # all come within three minutes
SITTING_S = 45 * 60  # and run one whole lesson within a sitting
BUSY = 0.7  # of the cores' time: with more, one waits for the other
SPARE = 0.85  # of a machine's memory: the rest is for its system and its file cache
PLACES = 110  # pods that a Kubernetes node takes unless told otherwise; 10 of them are the cluster's own
MACHINES = ((8, 32), (16, 64), (32, 128))  # cores, GB
DISK_GB = 1


def needs(students, measured, lessons=None):
    """{cores, gb, disk_gb} for so many students with one lesson open each, the largest of these.

    Memory: everybody's server and kernel as they stand after the whole lesson; one student in ten is at that moment in
    its largest cell; the libraries and the hub's own, once. Cores: for the arrival, or for the lesson, what is more."""
    rows = [row for row in measured["kernels"] if lessons is None or row["lesson"] in lessons]
    own = max(row["own_mb"] for row in rows)
    rise = max(row["peak_mb"] - row["own_mb"] for row in rows)
    files = max(row["files_mb"] for row in rows)
    cpu = max(row["cpu_s"] for row in rows)
    mb = students * (measured["server_mb"] + own) + math.ceil(students / 10) * rise + files + measured["hub_mb"]
    arrival, lesson = students * measured["arrival_cpu_s"] / ARRIVE_S, students * cpu / SITTING_S
    return {"cores": max(arrival, lesson) / BUSY, "gb": mb / 1000 / SPARE, "disk_gb": students * DISK_GB}


def machines(need, students, cores, gb):
    """How many of such machines; students are spread evenly."""
    return max(math.ceil(need["cores"] / cores), math.ceil(need["gb"] / gb), math.ceil(students / (PLACES - 10)))


def table(counts, measured):
    yield f"| students | lesson | cores | memory | {' | '.join(f'{c} cores, {gb} GB' for c, gb in MACHINES)} | disk |"
    yield "|--:|---|--:|--:|" + "--:|" * len(MACHINES) + "--:|"
    largest = max(measured["kernels"], key=lambda row: row["own_mb"])["lesson"]
    for students in counts:
        for name, lessons in ("00", ["00"]), (f"any ({largest} is the largest)", None):
            need = needs(students, measured, lessons)
            each = " | ".join(str(machines(need, students, *kind)) for kind in MACHINES)
            yield (
                f"| {students:,} | {name} | {math.ceil(need['cores'])} | {math.ceil(need['gb']):,} GB | {each} "
                f"| {need['disk_gb']:,} GB |"
            )


def main(arguments):
    counts = [int(argument) for argument in arguments] or [30, 300, 3000]
    print("\n".join(table(counts, json.loads(MEASURED.read_text(encoding="utf-8")))))


if __name__ == "__main__":
    main(sys.argv[1:])
