"""Makes .venv and installs the given requirements files into it; finds at once when nothing has changed since.

Usage: python3 tools/set_up.py FILE ...        (make lab and make test call it)

It runs before anything is installed: standard library only. Python 3.6 can still read it, so that an old Python is
answered with a sentence and not with a syntax error.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SETTINGS = "mha_lab/widgets/jupyterlab.json"  # is copied into .venv
INSTALLED = VENV / "installed.txt"  # a fingerprint for each requirements file that is installed in full

OLDEST = (3, 11)  # numpy 2.4 needs it
FIRST_GB, CUDA_GB, UPDATE_GB = 3, 10, 0.3  # disk for a first installation, the same with CUDA's libraries, a later one
NO_NEWS = """from jupyterlab.commands import disable_extension
disable_extension("@jupyterlab/apputils-extension:announcements", level="sys_prefix")"""  # asks whether to show news


def objection(version, has_venv, free_gb, needs_gb):
    """Why this machine cannot install the lab, as one sentence, or None."""
    if version < OLDEST:
        return (
            "Python {}.{} is too old: the lab needs {}.{} or newer. "
            "Name a newer one: make lab PYTHON=python3.12".format(*(version + OLDEST))
        )
    if not has_venv:
        return "This Python comes without venv and pip. On Debian and Ubuntu: apt install python3-venv"
    if free_gb < needs_gb:
        return f"The disk is too full: {free_gb:.1f} GB are free, and the installation needs {needs_gb:g} GB."
    return None


def fingerprint(requirements):
    """Changes with the file, the package's metadata and settings, and the folder, whose path .venv holds."""
    parts = [(ROOT / name).read_bytes() for name in (requirements, "pyproject.toml", SETTINGS)]
    return "{} {}".format(hashlib.sha256(b"\0".join(parts + [str(ROOT).encode()])).hexdigest(), requirements)


def changed(files):
    """Those of the requirements files that are not installed as they stand."""
    if not (PYTHON.exists() and INSTALLED.exists()):
        return files
    installed = INSTALLED.read_text().splitlines()
    return [name for name in files if fingerprint(name) not in installed]


def remove_torn_packages(packages):
    """Forget packages whose installation was cut short (INSTALLER is written last), so that pip installs them again."""
    for info in packages.glob("*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(str(info))


def run(*command):
    if subprocess.call([str(part) for part in command], cwd=str(ROOT)):
        sys.exit("\nThe installation stopped; the reason stands above. Called again, it goes on from here.")


def venv_version():
    """The Python that will run the lab: that of .venv if there is one, else this one."""
    if not PYTHON.exists():
        return sys.version_info[:2]
    answer = subprocess.check_output([str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"])
    return tuple(int(number) for number in answer.split())


def install(files):
    has_torch = any(VENV.glob("lib/python*/site-packages/torch-*.dist-info/INSTALLER"))
    has_venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    free_gb = shutil.disk_usage(str(ROOT)).free / 1e9
    problem = objection(venv_version(), has_venv, free_gb, UPDATE_GB if has_torch else FIRST_GB)
    if problem:
        sys.exit(problem)
    if sys.platform == "linux" and not has_torch and free_gb < CUDA_GB:
        print(f"Note: {free_gb:.1f} GB are free, and torch with its CUDA libraries may need {CUDA_GB} GB.")
        print("README.md says how to install torch for the CPU only.")

    complete = INSTALLED.read_text().splitlines() if INSTALLED.exists() else []
    complete = [line for line in complete if line.split()[-1] not in files]
    if INSTALLED.exists():
        INSTALLED.unlink()  # so an installation that is cut short is known by its absence
    for packages in VENV.glob("lib/python*/site-packages"):
        remove_torn_packages(packages)
    if not (PYTHON.exists() and (VENV / "bin" / "activate").exists()):  # absent, cut short, or its Python is gone
        run(sys.executable, "-m", "venv", "--clear", VENV)
    elif not any(VENV.glob("lib/python*/site-packages/pip-*.dist-info")):
        run(PYTHON, "-m", "ensurepip")
    print("Installing {} into .venv ...".format(" and ".join(files)), flush=True)
    quiet = ["--quiet"] if has_torch else []  # the first time there is much to download, and progress to see
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", *quiet]
    run(*pip, *("--requirement=" + name for name in files))
    run(PYTHON, "-c", NO_NEWS)
    INSTALLED.write_text("\n".join(complete + [fingerprint(name) for name in files]) + "\n")


if __name__ == "__main__":
    try:
        outdated = changed(sys.argv[1:])
        if outdated:
            install(outdated)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Called again, the installation goes on from here.")
