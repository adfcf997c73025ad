"""How much memory a lesson's kernel holds: after its last cell, at most, and which cells it went to.

Usage: python tools/kernel_memory.py [--cells 8] [01 02 …]      (all lessons unless some are named; Linux only)

Each lesson runs once in a fresh kernel, in its own folder; nothing is stored. Numbers are in MB (10^6 bytes):

first     the kernel's own memory after the first cell that runs; `s` beside it is the seconds from starting the kernel
own       what no other process can share, after the last cell: for N students count it N times
peak      the same at its most, looked at ten times a second
files     pages of libraries and of mapped files, which all kernels on a machine share: count it once
CPU       seconds that the kernel has computed, imports included

--hub     gives memory back after each cell, as classroom/share/kernels/ says to a hub's kernels
--cells N prints, beneath each lesson, the N cells to which most went, with what stayed and how far it rose meanwhile.
--json writes the table as JSON: classroom/sizing.py computes with it.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import json
import re
import sys
import threading
import time
from pathlib import Path

import psutil
import run_notebooks
from nbclient import NotebookClient

from mha_lab import _whole

HUBS_KERNEL = Path(__file__).resolve().parent.parent / "classroom" / "share" / "kernels" / "python3" / "kernel.json"
MB = 10**6
EVERY = 0.1  # seconds


def held(pid):
    """A process's memory in bytes: (its own, that of files). Its own are pages that stand in no file, and those of
    files that it wrote to, and a share of those that a process it came from has too; the rest anybody may share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0, 0
    kilobytes = {name: 1024 * int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    own = kilobytes["Pss_Anon"] + kilobytes.get("SwapPss", 0)
    return own, kilobytes["Rss"] - kilobytes["Anonymous"]


def total(pid):
    """The same of a process and all that it has started: a lesson may run ranks of its own."""
    try:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0, 0
    each = [held(member) for member in family]
    return sum(own for own, _ in each), max(files for _, files in each)


def options_of_the_hub():
    argv = json.loads(HUBS_KERNEL.read_text())["argv"]
    return argv[argv.index("{connection_file}") + 1 :]


class Watch:
    """Looks at a kernel while it runs, and after each cell."""

    def __init__(self, client):
        self.client, self.cells = client, []
        self.start, self.peak, self.risen, self.first_s = time.perf_counter(), 0, 0, None
        self.done = threading.Event()
        client.on_cell_executed = self.after_cell
        threading.Thread(target=self.look, daemon=True).start()

    @property
    def pid(self):
        return getattr(getattr(self.client.km, "provisioner", None), "pid", None)

    def look(self):
        while not self.done.wait(EVERY):
            if self.pid:
                own, _ = total(self.pid)
                self.peak, self.risen = max(self.peak, own), max(self.risen, own)

    def after_cell(self, cell, cell_index, execute_reply):
        own, files = total(self.pid)
        if self.first_s is None:
            self.first_s = time.perf_counter() - self.start
        self.peak = max(self.peak, own)
        cpu = psutil.Process(self.pid).cpu_times()
        self.cells.append((cell_index, own, max(own, self.risen), files, cpu.user + cpu.system, cell.source))
        self.risen = 0


def measure(path, on_a_hub=False):
    """A lesson's row, and its cells as (index, what stayed in it, how far it rose above that before it, source)."""
    client = NotebookClient(
        run_notebooks.read(path),
        kernel_name=run_notebooks.KERNEL["name"],
        resources={"metadata": {"path": str(path.parent)}},
        timeout=600,
        record_timing=False,
        extra_arguments=["--log-level=ERROR", *(options_of_the_hub() if on_a_hub else [])],
    )
    watch = Watch(client)
    try:
        client.execute()
    finally:
        watch.done.set()
    _, first, _, _, _, _ = watch.cells[0]
    _, own, _, files, cpu, _ = watch.cells[-1]
    row = {
        "lesson": path.stem.split("_")[0],
        "first_mb": first / MB,
        "first_s": watch.first_s,
        "own_mb": own / MB,
        "peak_mb": watch.peak / MB,
        "files_mb": files / MB,
        "cpu_s": cpu,
    }
    before = [0, *(cell[1] for cell in watch.cells)]
    steps = [
        (i, (now - was) / MB, (top - was) / MB, source) for was, (i, now, top, _, _, source) in zip(before, watch.cells)
    ]
    return row, steps


def in_words(row):
    return (
        f"first {row['first_mb']:4.0f} in {row['first_s']:.1f} s   own {row['own_mb']:5.0f}   "
        f"peak {row['peak_mb']:5.0f}   files {row['files_mb']:4.0f}   CPU {row['cpu_s']:.1f} s"
    )


def main(arguments):
    parser = run_notebooks.parser_of_lessons("Measure the memory that each lesson's kernel holds.")
    parser.add_argument("--cells", type=int, default=0, help="also the cells to which most of it went")
    parser.add_argument("--hub", action="store_true", help="as a class's hub starts its kernels")
    parser.add_argument("--json", type=Path, help="write the table here")
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        parser.error("this reads /proc, which Linux alone has.")
    rows = []

    def act(path):
        row, steps = measure(path, options.hub)
        rows.append(row)
        lines = [in_words(row)]
        for i, stayed, rose, source in sorted(steps, key=lambda step: -max(step[1:3]))[: options.cells]:
            lines.append(f"    cell {i:3}  stayed {stayed:+6.0f}  rose {rose:+6.0f}   {source.splitlines()[0][:70]}")
        return "\n".join(lines)

    failed = run_notebooks.for_each_lesson(parser, options.lessons, act)
    if options.json:
        _whole.write(options.json, (json.dumps(rows, indent=1) + "\n").encode())
    return failed


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
