"""Checks the explorers' sources where Node is: their style, types and tests, and that the committed bundles are theirs.

Usage: python tools/check_frontend.py      (make check)

Without Node of version 18 or newer, and npm, it says so and leaves out the rest; where NODE_CHECKS=required, as in CI,
that is a failure.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "mha_lab/widgets/static"
LOCK = FRONTEND / "package-lock.json"
INSTALLED = FRONTEND / "node_modules/.package-lock.json"  # npm's own account of what it has installed
OLDEST = 18


def what_is_missing():
    """In words, or None where Node and npm are there."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        return "there is no Node and npm here (Debian: apt install nodejs npm)"
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    found = re.match(r"v(\d+)", version)
    if not found or int(found[1]) < OLDEST:
        return f"this Node is {version}, and its tools need version {OLDEST} or newer"
    return None


def run(*command):
    """Whether a command in frontend/ ends well; what it says goes to the terminal."""
    sys.stdout.flush()
    return subprocess.run([shutil.which(command[0]) or command[0], *command[1:]], cwd=FRONTEND).returncode == 0


def is_installed():
    """Whether node_modules holds what the lock names; what belongs to other systems (optional) may lack."""
    try:
        wanted, found = (json.loads(path.read_text(encoding="utf-8"))["packages"] for path in (LOCK, INSTALLED))
    except (OSError, ValueError, KeyError):
        return False
    return all(
        found[name].get("integrity") == package["integrity"] if name in found else package.get("optional")
        for name, package in wanted.items()
        if name
    )


def install():
    """Installs exactly what the lock names, unless it is there; whether it is there now."""
    return is_installed() or run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


def stale(folder):
    """Names of the committed bundles that differ from those in a folder, on either side."""
    names = {path.name for place in (folder, STATIC) for path in place.iterdir()}
    return sorted(name for name in names if _bytes(folder / name) != _bytes(STATIC / name))


def _bytes(path):
    return path.read_bytes() if path.is_file() else None


def bundles_are_fresh():
    with tempfile.TemporaryDirectory() as made:
        if not run("node", "build.js", "--to", made):
            return False
        differing = stale(Path(made))
    if differing:
        print(
            f"mha_lab/widgets/static: {', '.join(differing)} {'is' if len(differing) == 1 else 'are'} not what "
            "frontend/src makes: call `npm run build` in frontend/ and commit what it writes."
        )
    return not differing


def main():
    if missing := what_is_missing():
        print(f"The explorers' sources (frontend/) are not checked: {missing}.")
        return 1 if os.environ.get("NODE_CHECKS") == "required" else 0
    if not install():
        print("The tools that check frontend/ could not be installed: npm's reason stands above.")
        return 1
    tests = [str(path.relative_to(FRONTEND)) for path in sorted((FRONTEND / "test").rglob("*.test.js"))]
    steps = [
        lambda: run("node_modules/.bin/biome", "ci"),
        lambda: run("node_modules/.bin/tsc"),
        lambda: run("node", "--test", *tests),
        bundles_are_fresh,
    ]
    good = [step() for step in steps]  # all of them: who mends likes to see everything at once
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
