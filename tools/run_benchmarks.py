"""Run every benchmark and write what they print to benchmarks/RESULTS.md, each part with its machine and versions.

.venv/bin/python tools/run_benchmarks.py [--device cuda] [--only attention cost_model explorers lessons …]

With --only, the other parts stay as they were measured before. On a GPU, what runs on the CPU alone is left out.
"""

import _interrupt  # isort: skip  # before what takes seconds to load

import argparse
import importlib.metadata
import platform
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from mha_lab import _whole, measure

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}
ON_CPU_ONLY = {"explorers", "lessons", "parallel"}
VERSIONS = ("torch", "numpy", "transformers")
TITLE = "# What `make bench` measured"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS)
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    names = options.only or [name for name in SCRIPTS if on_cpu or name not in ON_CPU_ONLY]
    results = FOLDER / ("RESULTS.md" if on_cpu else f"RESULTS-{options.device}.md")
    parts = read_parts(results.read_text(encoding="utf-8")) if results.exists() else {}
    for name in names:
        command = [sys.executable, _interrupt.__file__, str(SCRIPTS[name])]
        if name not in ON_CPU_ONLY:
            command += ["--device", options.device]
        lines = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as run:
            try:
                for line in run.stdout:
                    print(line, end="", flush=True)
                    lines.append(line.rstrip())
            except KeyboardInterrupt:
                with suppress(subprocess.TimeoutExpired):
                    run.wait(10)  # it got the interrupt too, and tidies up
                run.terminate()
                sys.exit(f"\nInterrupted in {SCRIPTS[name].name}: {results.name} has what came before it.")
        if run.returncode:
            sys.exit(f"{SCRIPTS[name].name} ended with {run.returncode}: {results.name} has what came before it.")
        parts[name] = "\n".join([*lines, "", machine(options.device)])
        _whole.write(results, write_parts(parts))
    print(f"Written to {results}.")


def read_parts(text):
    """What each benchmark printed, by its name; a comment with the name stands before it."""
    _, *found = re.split(r"^<!-- (\w+) -->$", text, flags=re.M)
    return {name: part.strip("\n") for name, part in zip(found[::2], found[1::2], strict=True)}


def write_parts(parts):
    """The page, in the order of the scripts."""
    found = [f"<!-- {name} -->\n\n{parts[name]}\n" for name in SCRIPTS if name in parts]
    return "\n".join([TITLE + "\n", *found])


def machine(device):
    """What a part was measured on, in a line."""
    found = [f"Python {platform.python_version()}", platform.platform(terse=True)]
    for name in VERSIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return f"Measured on {measure.processor(device)}: " + ", ".join(found) + "."


if __name__ == "__main__":
    main()
