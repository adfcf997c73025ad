"""Makes .venv and installs the given requirements files into it; finds at once when nothing has changed since.

Usage: python3 tools/set_up.py [OPTION FOR PIP ...] FILE ...        (make lab, make test and make models call it)

Nothing that lies in .venv is trusted: a Python that does not run, or is another one than that which the packages are
for, is made anew; a package whose files have gone is installed again. Of two installations at once the second waits.

It runs before anything is installed: standard library only. Python 3.6 can still read it, so that an old Python is
answered with a sentence and not with a syntax error; its messages are plain ASCII, which every terminal shows.
"""

try:
    import _interrupt  # isort: skip  # noqa: F401  # before all others
except ImportError:  # python -I, or PYTHONSAFEPATH
    pass

import csv
import hashlib
import importlib.util
import math
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where .venv is made by hand
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
SETTINGS = "mha_lab/widgets/jupyterlab.json"  # is copied into .venv
INSTALLED = VENV / "installed.txt"  # a fingerprint of each requirements file that is installed in full

OLDEST = (3, 11)  # numpy 2.4 needs it
FIRST_GB, CUDA_GB, UPDATE_GB = 3, 10, 0.6  # disk for a first installation, the same with CUDA's libraries, a later one
AGAIN = "Called again, it goes on from here; if that does not help, delete .venv (make clean) and call again."
NO_CONNECTION = (  # what pip says of it
    "connection broken by|Connection to .* timed out|ConnectTimeout|ConnectionError|Failed to establish a new",
    "Cannot connect to proxy|Read timed out|name resolution|SSLError|CERTIFICATE_VERIFY_FAILED",
)
# A user's settings that would lead packages away from .venv, or let venv fail where the path is not ASCII.
ELSEWHERE = "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONUTF8", "PYTHONCOERCECLOCALE"
NO_NEWS = """from jupyterlab.commands import disable_extension
disable_extension("@jupyterlab/apputils-extension:announcements", level="sys_prefix")"""  # asks whether to show news
ASK = """import sys, sysconfig
known = sysconfig.get_config_var("EXT_SUFFIX"), sysconfig.get_platform(), sysconfig.get_path("purelib"), sys.prefix
print("", *sys.version_info[:2], *known, sep="\\n")"""

Venv = namedtuple("Venv", "version kind packages")  # (3, 12), what compiled packages must be made for, where they lie


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
        free_gb = math.floor(free_gb * 10) / 10  # never rounded up to what is needed
        return f"The disk is too full: {free_gb:.1f} GB are free, and the installation needs {needs_gb:g} GB."
    return None


# what is there -------------------------------------------------------------------------------------------------------


def venv():
    """What .venv's Python says of itself, or None where it does not run or does not live there."""
    try:
        run = [str(PYTHON), "-I", "-c", ASK]
        said = subprocess.run(
            run, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
        major, minor, *kind, packages, prefix = os.fsdecode(said.stdout).split("\n")[-7:-1]  # start-up files may print
        found = Venv((int(major), int(minor)), " ".join(kind), Path(packages))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return None if said.returncode or os.path.realpath(prefix) != os.path.realpath(str(VENV)) else found


def why_anew(found):
    """What is wrong with .venv so that it must be made anew, as the end of a sentence, or None."""
    if not os.path.lexists(str(VENV)):
        return "there is none yet"
    if not VENV.exists():
        return "it is a link that leads nowhere"
    if found is None:
        return "its Python does not run"
    if any(other.resolve() != found.packages.resolve() for other in VENV.glob("lib/python*/site-packages")):
        return "its packages are for another Python"
    if not (VENV / "bin" / "activate").exists():  # is written last
        return "making it was cut short"
    return None


def fingerprint(requirements, found):
    """Changes with the file and those it names, the package's metadata and settings, the Python, and the folder, whose
    path .venv holds."""
    content = (ROOT / requirements).read_bytes()
    named = [os.fsdecode(name) for name in re.findall(rb"^-[rc] +(\S+)", content, re.M)]
    parts = [content] + [(ROOT / name).read_bytes() for name in named + ["pyproject.toml", SETTINGS]]
    parts += [os.fsencode(str(ROOT)), found.kind.encode()]
    return "{} {}".format(hashlib.sha256(b"\0".join(parts)).hexdigest(), requirements)


def recorded():
    """The lines of the record of what is installed; whatever cannot be read counts as nothing."""
    try:
        return INSTALLED.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []


def lost_files(info):
    """The files that a package's own list, in its folder .dist-info, names and that are not there or are empty."""
    lost, itself = [], info.name + "/RECORD"
    try:
        with (info / "RECORD").open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            sizes = {name: size for name, _, size in csv.reader(lines)}
    except (OSError, ValueError, csv.Error):  # no list, or what is no list
        sizes = {}
    beside = str(info.parent) + os.sep
    for name, size in sizes.items():
        if name[-4:] != ".pyc":  # Python makes them again
            try:
                if not os.stat(beside + name).st_size and size not in ("", "0"):
                    lost.append(name)
            except (OSError, ValueError):
                lost.append(name)
    return lost if itself in sizes else [itself]


def plain(name):
    return re.sub(r"[-_.]+", "_", name).lower()


def torn_packages(packages):
    """Those of the lab's packages that have lost files, or were cut short (INSTALLER is written last), by their folder
    .dist-info, with the files they lost. What the user installed beside them is the user's."""
    pins = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("requirements*.txt"))
    ours = {plain(name) for name in re.findall(r"^([\w.-]+)==", pins, re.M)} | {"mha_lab", "pip"}
    torn = {}
    for info in packages.glob("*.dist-info"):
        if plain(info.name.split("-")[0]) in ours:
            lost = lost_files(info)
            if lost or not (info / "INSTALLER").exists():
                torn[info] = lost
    return torn


def outdated(files, found):
    """Those of the requirements files that are not installed as they stand; all of them where packages are torn."""
    if why_anew(found):
        return files
    lines = recorded()
    torn = {name for lost in torn_packages(found.packages).values() for name in lost or ["?"]}
    if not lines or torn - {line[5:] for line in lines if line.startswith("lost ")}:
        return files
    return [name for name in files if fingerprint(name, found) not in lines]


# what is done --------------------------------------------------------------------------------------------------------


def no_index():
    proxies = [
        os.environ[name] for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)
    ]
    if proxies:
        return "check the network, and the proxy {} that HTTPS_PROXY names".format(proxies[0].split("@")[-1])
    return "check the network; behind a proxy, name it: HTTPS_PROXY=http://host:port make lab"


def reason(said):
    """What stopped an installation, from what pip said, as one sentence; None where it is none of the usual."""
    full = shutil.disk_usage(str(ROOT)).free < 2**20  # venv does not say why its pip could not be written
    if full or re.search(r"No space left on device|Disk quota exceeded", said):
        return "The disk is full."
    if re.search(r"Read-only file system|Permission denied", said):
        return f"This user may not write into {ROOT}, or into .venv in it."
    if re.search("|".join(NO_CONNECTION), said):
        return f"No connection to the package index: {no_index()}."
    if "(from versions: none)" in said:  # pip does not tell the two apart where it may not try again
        return f"The package index was not reached, or it lacks a package: {no_index()}."
    return None


def run(*command, lock=None):
    """Run a command in the lab's folder. It shows what it says; where it fails, the last word is one sentence.

    The lock goes on being held while a command is at work that outlives this one."""
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    environment["PIP_USER"] = "0"
    command = [str(part) for part in command]
    child = subprocess.Popen(
        command, cwd=str(ROOT), env=environment, stderr=subprocess.PIPE, pass_fds=[lock.fileno()] if lock else []
    )
    said, held_back = [], []
    try:
        for line in child.stderr:
            said.append(line)
            if held_back or line.startswith(b"Traceback"):  # an interrupt's is shown to nobody
                held_back.append(line)
            else:
                os.write(2, line)
        code = child.wait()
    except KeyboardInterrupt:
        try:
            child.wait(10)  # it got the interrupt too, and tidies up
        except subprocess.TimeoutExpired:
            child.terminate()
        raise
    os.write(2, b"".join(held_back))
    if code:
        why = reason(b"".join(said).decode("utf-8", "replace")) or "The installation stopped; the reason stands above."
        sys.exit(f"\n{why} {AGAIN}")


def gb(folder):
    """What lies in a folder, in GB."""
    paths = (os.path.join(place, name) for place, _, names in os.walk(str(folder)) for name in names)
    return sum(os.lstat(path).st_size for path in paths) / 1e9


def make_anew(why, lock):
    """An empty .venv with pip in it."""
    if os.path.lexists(str(VENV)) and not VENV.is_dir():
        if not VENV.is_symlink():
            sys.exit(f"{VENV} is a file, where the lab's own folder of that name belongs: move it away.")
        VENV.unlink()
    print("Making .venv{}: {} ...".format(" anew" if VENV.exists() else "", why), flush=True)
    run(sys.executable, "-I", "-m", "venv", "--clear", VENV, lock=lock)


def install(files, options, found, lock):
    why = why_anew(found)
    if not why and subprocess.call(
        [str(PYTHON), "-I", "-c", "import pip._internal.cli.main"], stderr=subprocess.DEVNULL
    ):
        why = "its pip does not run"
    has_torch = not why and any(found.packages.glob("torch-*.dist-info/INSTALLER"))
    has_venv = not why or all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    version = sys.version_info[:2] if why else found.version
    free_gb = shutil.disk_usage(str(ROOT)).free / 1e9 + (gb(VENV) if why else 0)
    problem = objection(version, has_venv, free_gb, UPDATE_GB if has_torch else FIRST_GB)
    if problem:
        sys.exit(problem)
    if sys.platform == "linux" and not has_torch and free_gb < CUDA_GB:
        print(f"Note: {free_gb:.1f} GB are free, and torch with its CUDA libraries may need {CUDA_GB} GB.")
        print("README.md says how to install torch for the CPU only.")

    complete, torn = [], {}
    if why:
        make_anew(why, lock)
        found = venv()
    else:
        torn = torn_packages(found.packages)
        others = sorted(path.name for path in ROOT.glob("requirements*.txt") if path.name not in files)
        lines = [] if torn else recorded()
        complete = [line for line in (fingerprint(name, found) for name in others) if line in lines]
        if INSTALLED.exists():
            INSTALLED.unlink()  # so an installation that is cut short is known by its absence
        for info in torn:  # forgotten, so that pip installs them again
            shutil.rmtree(str(info))
    print("Installing {} into .venv ...".format(" and ".join(files)), flush=True)
    quiet = ["--quiet"] if has_torch else []  # the first time there is much to download, and progress to see
    pip = [PYTHON, "-I", "-m", "pip", "install", "--disable-pip-version-check", *quiet, *options]
    run(*pip, *("--requirement=" + name for name in files), lock=lock)
    lead_home(found.packages)
    run(PYTHON, "-I", "-c", NO_NEWS, lock=lock)
    lost = {name for names in torn_packages(found.packages).values() for name in names}  # that pip does not bring
    lines = complete + [fingerprint(name, found) for name in files] + ["lost " + name for name in sorted(lost)]
    write(INSTALLED, "\n".join(lines) + "\n")


def lead_home(packages):
    """Name the lab's folder relative to .venv: Python 3.11 and 3.12 read such a file in the encoding of the locale, and
    under LC_ALL=C do not even start where the path has letters beyond ASCII."""
    for path in packages.glob("*mha_lab*.pth"):
        if os.fsdecode(path.read_bytes()).strip() == str(ROOT):
            write(path, os.path.relpath(str(ROOT), os.path.realpath(str(packages))) + "\n")


def write(path, text):
    """Beside the old file, which is then replaced at one stroke; mha_lab/_whole.py does it better, once it is there."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(str(partial), str(path))


def locked():
    """This very file, held by one installation at a time. Where it cannot be locked, as on some network disks, nobody
    waits."""
    lock = open(__file__, "r+b" if os.access(__file__, os.W_OK) else "rb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another installation into .venv is at work: waiting for its end ...", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except (AttributeError, OSError):
        pass
    return lock


def main(arguments):
    files = [name for name in arguments if not name.startswith("-")]
    for name in files + ["pyproject.toml", SETTINGS]:
        if not (ROOT / name).is_file():
            sys.exit(f"{name} is missing in {ROOT}: it is part of the repository (git restore {name}).")
    if outdated(files, venv()):
        with locked() as lock:
            found = venv()  # of two that came at once, the second finds everything done
            files = outdated(files, found)
            if files:
                install(files, [name for name in arguments if name.startswith("-")], found, lock)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Called again, the installation goes on from here.")
    except OSError as problem:
        sys.exit(f"\nThe installation stopped: {problem}. {AGAIN}")
