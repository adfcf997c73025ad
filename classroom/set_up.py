"""Makes build/hub, the environment of a class's hub, beside .venv, whose packages it sees; again only when something
changed.

Usage: .venv/bin/python classroom/set_up.py        (make hub calls it)

It has JupyterHub (requirements-hub.txt) and the proxy in front of it (proxy/package-lock.json, which needs Node). The
lessons' own packages are not installed a second time.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HUB = ROOT / "build" / "hub"
INSTALLED = HUB / "installed.txt"
PARTS = ROOT / "requirements.txt", ROOT / "requirements-hub.txt", ROOT / "classroom" / "proxy" / "package-lock.json"
# Relative to the environment: Python before 3.13 reads a .pth file in the locale's encoding, and a path may be 课程/.
BESIDE = (
    "import os, site, sys; site.addsitedir(os.path.realpath(os.path.join(sys.prefix, '..', '..', '.venv', 'lib',"
    " 'python%d.%d' % sys.version_info[:2], 'site-packages')))\n"
)


def fingerprint():
    content = [path.read_bytes() for path in PARTS] + [
        str(ROOT).encode("utf-8", "surrogateescape"),
        sys.version.encode(),
    ]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def run(*command, **options):
    if subprocess.run([str(part) for part in command], **options).returncode:
        sys.exit("\nThe hub's installation stopped; the reason stands above. Called again, it begins anew.")


def main():
    if not (ROOT / ".venv" / "lib" / "python{}.{}".format(*sys.version_info[:2])).is_dir():
        sys.exit("The lab itself comes first, with the same Python: make install.")
    if INSTALLED.is_file() and INSTALLED.read_text() == fingerprint():
        return
    if not shutil.which("npm"):
        sys.exit("The hub's proxy needs Node 18 or newer, with npm. On Debian and Ubuntu: apt install nodejs npm")
    print("Installing the hub into build/hub ...", flush=True)
    run(sys.executable, "-m", "venv", "--clear", "--without-pip", HUB)
    (packages,) = HUB.glob("lib/python*/site-packages")
    (packages / "lab.pth").write_text(BESIDE)
    python = HUB / "bin" / "python"
    options = "--disable-pip-version-check", "--no-deps", "--quiet"
    run(python, "-m", "pip", "install", *options, "--requirement", ROOT / "requirements-hub.txt")
    for name in "package.json", "package-lock.json":
        shutil.copy(ROOT / "classroom" / "proxy" / name, HUB)
    run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=HUB)
    run(python, "-m", "compileall", "-q", packages, ROOT / "mha_lab", ROOT / "tools")  # students may not write there
    INSTALLED.write_text(fingerprint())


if __name__ == "__main__":
    main()
