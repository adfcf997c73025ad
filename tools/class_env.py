"""Makes build/class-env: nbgrader and Otter-Grader, which see .venv's packages and change none of them.

Usage: .venv/bin/python tools/class_env.py      (make class-test calls it; a second call finds nothing to do)

Then build/class-env/bin/nbgrader and build/class-env/bin/otter mark notebooks with the lab's own kernel.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENV, REQUIREMENTS = ROOT / "build" / "class-env", ROOT / "requirements-class.txt"
PYTHON, KERNEL, DONE = ENV / "bin" / "python", ENV / "share" / "jupyter" / "kernels" / "python3", ENV / "installed.txt"


def make():
    """Make the environment, or make it anew where the requirements, the Python or the folder have changed since."""
    seen = sysconfig.get_path("purelib")
    wanted = hashlib.sha256(f"{REQUIREMENTS.read_text()}{sys.version}{seen}".encode()).hexdigest()
    if DONE.exists() and DONE.read_text() == wanted:
        return
    shutil.rmtree(ENV, ignore_errors=True)
    venv.create(ENV, with_pip=True)
    ask = [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    # A line that begins with import is run: .venv's packages come last, and its own .pth files, the lab's among them.
    Path(own, "lab.pth").write_text(f"import site; site.addsitedir({seen!r})\n", encoding="utf-8")
    subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", "--no-deps", "-r", str(REQUIREMENTS)], check=True)
    # nbconvert's templates, which lie beside .venv's packages: feedback pages are made from them.
    templates = ENV / "share" / "jupyter" / "nbconvert" / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    for found in Path(sys.prefix, "share", "jupyter", "nbconvert", "templates").iterdir():
        if not (templates / found.name).exists():
            (templates / found.name).symlink_to(found)
    # The kernel that every notebook names, whatever kernel of that name the user has installed elsewhere.
    start = [str(PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    KERNEL.mkdir(parents=True, exist_ok=True)
    spec = {"argv": start, "display_name": "Python 3 (ipykernel)", "language": "python"}
    Path(KERNEL, "kernel.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")
    DONE.write_text(wanted)


if __name__ == "__main__":
    make()
    print(f"{ENV.relative_to(ROOT)}: nbgrader and otter are in {ENV.relative_to(ROOT)}/bin")
