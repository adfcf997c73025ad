"""Run every benchmark and write what they print to benchmarks/RESULTS.md, beside the machine and the versions.

.venv/bin/python tools/run_benchmarks.py [--device cuda] [--only attention cost_model explorers …]
"""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

from mha_lab import measure

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}
ON_CPU_ONLY = {"explorers"}
VERSIONS = ("torch", "numpy", "transformers")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    options = parser.parse_args()
    results = FOLDER / ("RESULTS.md" if options.device == "cpu" else f"RESULTS-{options.device}.md")
    lines = [f"# What `make bench` measured on {measure.processor(options.device)}", "", versions(), ""]
    for name in options.only:
        command = [sys.executable, str(SCRIPTS[name])]
        if name not in ON_CPU_ONLY:
            command += ["--device", options.device]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as run:
            for line in run.stdout:
                print(line, end="", flush=True)
                lines.append(line.rstrip())
        if run.returncode:
            sys.exit(f"{SCRIPTS[name].name} ended with {run.returncode}: {results.name} has what came before it.")
        lines.append("")
        results.write_text("\n".join(lines), encoding="utf-8")
    print(f"Written to {results}.")


def versions():
    found = [f"Python {platform.python_version()}", platform.platform(terse=True)]
    for name in VERSIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found) + "."


if __name__ == "__main__":
    main()
