"""Whatever lies in .venv, and whatever comes between: the set-up makes it whole again, or says one sentence.

A copy of the tool installs two tiny packages of ours, in place of torch and JupyterLab, into a real .venv.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="make and .venv/bin are Unix's")

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "jupyterlab": {
        "jupyterlab/__init__.py": "",
        "jupyterlab/commands.py": "def disable_extension(*_, **__):\n    pass\n",
    },
    "torch": {"torch/__init__.py": "from .nn import layer\n", "torch/nn/__init__.py": "layer = 1\n"},
}
WHEEL = "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# Without it pip would look where this machine's settings send it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
ENVIRONMENT |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1"}
WORKS = "import torch, jupyterlab.commands, mha_lab, sys; print(mha_lab.__file__, torch.layer, sys.prefix)"


def write_wheel(folder, name, files):
    info = f"{name}-1.0.dist-info"
    files = files | {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", f"{info}/WHEEL": WHEEL}
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        wheel.writestr(f"{info}/RECORD", "".join(f"{n},,{len(c)}\n" for n, c in files.items()) + f"{info}/RECORD,,\n")


class Copy:
    """A folder with the tool and what it installs."""

    def __init__(self, root):
        self.root, self.venv = root, root / ".venv"
        for folder in "tools", "mha_lab/widgets", "wheels":
            (root / folder).mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "set_up.py", root / "tools")
        shutil.copy(ROOT / "Makefile", root)
        for name in "pyproject.toml", "mha_lab/__init__.py", "mha_lab/widgets/jupyterlab.json":
            (root / name).touch()
        # As pip leaves a package that is installed from its folder (-e .): a file with the path.
        lab = {"mha_lab": {"_editable_impl_mha_lab.pth": str(root)}}
        for name, files in (PACKAGES | lab).items():
            write_wheel(root / "wheels", name, files)
        pins = "--no-index\n--find-links wheels\njupyterlab==1.0\ntorch==1.0\nmha_lab==1.0\n"
        (root / "requirements.txt").write_text(pins)
        (root / "requirements-dev.txt").write_text("-r requirements.txt\n")

    def command(self, *arguments):
        return [sys.executable, str(self.root / "tools" / "set_up.py"), *(arguments or ["requirements.txt"])]

    def set_up(self, *arguments, **environment):
        """The exit status and all that is said."""
        run = subprocess.run(
            self.command(*arguments), env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=120
        )
        return run.returncode, run.stdout + run.stderr

    def python(self, code=WORKS, **environment):
        run = subprocess.run(
            [self.venv / "bin" / "python", "-c", code],
            cwd="/",
            env=ENVIRONMENT | environment,
            capture_output=True,
            text=True,
        )
        return run.stdout if run.returncode == 0 else run.stderr

    def assert_whole(self, **environment):
        assert self.python(**environment) == f"{self.root / 'mha_lab' / '__init__.py'} 1 {self.venv}\n"
        assert self.set_up(**environment) == (0, ""), "a second call finds nothing to do"

    @property
    def packages(self):
        (folder,) = self.venv.glob("lib/python*/site-packages")
        return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One for all faults: each test finds it whole and leaves it whole, or the next one's set-up says so."""
    copy = Copy(tmp_path_factory.mktemp("lab") / "a lab")
    code, said = copy.set_up()
    assert code == 0, said
    copy.assert_whole()
    return copy


def find_python(minor):
    """A real Python 3.minor with venv and pip: on the path, or one of pyenv's."""
    versions = Path.home() / ".pyenv" / "versions"
    for path in filter(None, [shutil.which(f"python3.{minor}"), *versions.glob(f"3.{minor}.*/bin/python3")]):
        code = "import sys, ensurepip, venv; print(sys.executable, sys.version_info[1])"
        run = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if run.returncode == 0 and run.stdout.split()[-1] == str(minor):
            return run.stdout.rsplit(" ", 1)[0]


def script(text):
    def replace_python(copy):
        python = copy.venv / "bin" / "python"
        python.unlink()
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)

    return replace_python


def other_python(copy):
    """As after an update of the system: the packages lie where the Python of before looked for them."""
    copy.packages.parent.rename(copy.packages.parent.with_name("python3.2"))


def broken_link(copy):
    (copy.venv / "bin" / "python").unlink()
    (copy.venv / "bin" / "python").symlink_to("/nonexistent/python3")


def link_to_nowhere(copy):
    shutil.rmtree(copy.venv)
    copy.venv.symlink_to("/nonexistent/disk")


def without(path):
    def remove(copy):
        target = copy.packages / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


# What is noticed at all: tests/unit/test_tools.py. Here each kind is healed for real.
FAULTS = {
    "the packages are another Python's": other_python,
    "its Python prints something else": script("echo hello"),
    ".venv is a link that leads nowhere": link_to_nowhere,
    "the record is binary": lambda copy: (copy.venv / "installed.txt").write_bytes(bytes(range(256))),
    "a library's folder is gone": without("torch/nn"),
    "a library's file is empty": lambda copy: (copy.packages / "torch/nn/__init__.py").write_bytes(b""),
    "a library's list is binary": lambda c: (c.packages / "torch-1.0.dist-info/RECORD").write_bytes(bytes(range(256))),
    "a library was cut short": without("torch-1.0.dist-info/INSTALLER"),
    "pip is torn": without("pip/_internal/cli/main.py"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_venv_is_healed_by_the_next_call(fault, whole):
    FAULTS[fault](whole)
    code, said = whole.set_up()
    assert code == 0 and "Traceback" not in said, said
    whole.assert_whole()


def test_another_python_makes_it_anew(whole):
    others = [python for minor in (11, 12, 13, 14) if minor != sys.version_info[1] and (python := find_python(minor))]
    (whole.venv / "bin" / "python").unlink()
    (whole.venv / "bin" / "python").symlink_to(others[0] if others else pytest.skip("there is no second Python here"))
    code, said = whole.set_up()
    assert code == 0 and "Making .venv anew: its packages are for another Python" in said
    whole.assert_whole()


def test_what_is_no_folder_of_ours_is_not_deleted(whole):
    shutil.rmtree(whole.venv)
    whole.venv.write_text("the name of an environment, for another tool")
    code, said = whole.set_up()
    assert code == 1 and "is a file, where the lab's own folder of that name belongs: move it away." in said
    assert whole.venv.read_text().startswith("the name")
    whole.venv.unlink()
    assert whole.set_up()[0] == 0


def test_what_the_user_installed_beside_is_left_alone(whole):
    write_wheel(whole.root / "wheels", "beside", {"beside.py": "", "gone.py": ""})
    pip = [whole.venv / "bin" / "python", "-m", "pip", "install", "-q", "--no-index", "-f", "wheels", "beside"]
    subprocess.run(pip, cwd=whole.root, env=ENVIRONMENT, check=True)
    (whole.packages / "gone.py").unlink()
    whole.assert_whole()
    assert (whole.packages / "beside-1.0.dist-info").is_dir()


def test_another_file_is_still_to_install_after_venv_was_made_anew(whole):
    assert whole.set_up("requirements.txt", "requirements-dev.txt")[0] == 0
    broken_link(whole)
    assert whole.set_up()[0] == 0
    assert "Installing requirements-dev.txt" in whole.set_up("requirements.txt", "requirements-dev.txt")[1]
    assert whole.set_up("requirements.txt", "requirements-dev.txt") == (0, "")


def test_the_users_settings_for_pip_elsewhere_do_not_lead_the_packages_away(whole, tmp_path):
    link_to_nowhere(whole)
    assert whole.set_up(PIP_USER="1", PIP_TARGET=str(tmp_path), PYTHONPATH=str(whole.root / "wheels"))[0] == 0
    whole.assert_whole()


def test_a_missing_file_of_the_repository_is_named(whole):
    for name in "requirements.txt", "pyproject.toml", "mha_lab/widgets/jupyterlab.json":
        kept = (whole.root / name).read_bytes()
        (whole.root / name).unlink()
        code, said = whole.set_up()
        (whole.root / name).write_bytes(kept)
        assert code == 1 and said.count("\n") == 1, said
        assert f"{name} is missing in {whole.root}: it is part of the repository (git restore {name})." in said


@pytest.mark.parametrize(
    "index, environment, words",
    [
        ("http://127.0.0.1:9/simple", {}, "check the network; behind a proxy, name it"),
        ("https://index.example/simple", {"HTTPS_PROXY": "http://me:secret@127.0.0.1:9"}, "the proxy 127.0.0.1:9 that"),
        ("https://nothing.invalid/simple", {}, "check the network; behind a proxy, name it"),
    ],
    ids=["no index", "wrong proxy", "no name"],
)
def test_without_a_connection_the_last_words_say_so(index, environment, words, whole):
    pins = (whole.root / "requirements.txt").read_text()
    (whole.root / "requirements.txt").write_text(f"--index-url {index}\nabsent==1.0\n")
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "")
    code, said = whole.set_up(**proxies | environment)
    (whole.root / "requirements.txt").write_text(pins)
    last = said.strip().splitlines()[-1]
    assert code == 1 and last.startswith("No connection to the package index: ") and words in last, said
    assert "delete .venv" in last and "secret" not in last
    assert whole.set_up()[0] == 0
    whole.assert_whole()


def test_make_works_from_any_folder(whole, tmp_path):
    make = [shutil.which("make") or pytest.skip("there is no make"), f"PYTHON={sys.executable}"]
    for where in ["-f", whole.root / "Makefile"], ["-C", whole.root]:
        run = subprocess.run([*make, *where, "install"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
        assert run.returncode == 0 and not run.stderr, run.stderr
    strange = tmp_path / "it's  路 径"
    strange.mkdir()
    shutil.copy(ROOT / "Makefile", strange)
    run = subprocess.run([*make, "-f", strange / "Makefile", "help"], cwd="/", capture_output=True, text=True)
    assert run.returncode == 0 and "make lab " in run.stdout


def test_clean_removes_venv_and_no_lesson_and_nothing_of_the_learners_copy(whole):
    make = shutil.which("make") or pytest.skip("there is no make")
    theirs = [whole.root / path for path in ("notebooks/00.ipynb", "my_notebooks/.00.partial", "build/intents.jsonl")]
    for kept in theirs:
        kept.parent.mkdir()
        kept.write_text("a learner's notes")
    subprocess.run([make, "clean"], cwd=whole.root, capture_output=True)
    assert all(kept.exists() for kept in theirs) and not whole.venv.exists()
    assert whole.set_up()[0] == 0


@pytest.mark.parametrize("minor", [11, 12])
def test_a_path_of_chinese_letters_under_the_plain_locale(minor, tmp_path):
    """Python 3.11 and 3.12 read the file that leads to the lab's folder in the locale's encoding: none, under C."""
    found = find_python(minor) or pytest.skip(f"there is no Python 3.{minor} here")
    copy = Copy(tmp_path / "多头 注意力")
    no_utf8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run([found, *copy.command()[1:]], env=ENVIRONMENT | no_utf8, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    code = "import mha_lab, torch, os; print(os.fsencode(mha_lab.__file__))"
    for plain in {"LC_ALL": "C"}, no_utf8:
        assert copy.python(code, **plain) == f"{os.fsencode(copy.root / 'mha_lab' / '__init__.py')}\n"
        assert copy.set_up(**plain)[0] == 0


def test_of_two_first_installations_the_second_waits_and_both_end_well(tmp_path):
    copy = Copy(tmp_path / "lab")
    runs = []
    for _ in range(3):
        runs.append(
            subprocess.Popen(
                copy.command(), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert sum("Installing" in each for each in said) == 1, "one installs"
    assert sum("Another installation into .venv is at work" in each for each in said) == 2
    copy.assert_whole()


@pytest.mark.parametrize("kind", ["SIGINT", "SIGKILL"])
def test_an_installation_that_is_stopped_anywhere_is_made_whole_by_the_next(kind, tmp_path):
    copy, moments = Copy(tmp_path / "lab"), random.Random(kind)
    for _ in range(2):
        shutil.rmtree(copy.venv, ignore_errors=True)
        run = subprocess.Popen(
            copy.command(),
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.3, 4))
        os.killpg(run.pid, getattr(signal, kind))  # as the terminal does it: all of them
        said, _ = run.communicate(timeout=60)
        if kind == "SIGINT" and run.returncode:
            assert "Traceback" not in said and said.endswith("Called again, the installation goes on from here.\n"), (
                said
            )
        code, said = copy.set_up()
        assert code == 0, said
        copy.assert_whole()


def test_a_disk_that_fills_up_is_told_and_room_heals_it(tmp_path):
    root = tmp_path / "lab"
    root.mkdir()
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", "size=4m", "tiny", str(root)]
    if not mount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        copy = Copy(root)
        tool = root / "tools" / "set_up.py"  # it would see beforehand that so small a disk cannot do
        tool.write_text(
            tool.read_text().replace("FIRST_GB, CUDA_GB, UPDATE_GB = 3,", "FIRST_GB, CUDA_GB, UPDATE_GB = 0,")
        )
        code, said = copy.set_up()
        assert code == 1 and said.strip().splitlines()[-1].startswith("The disk is full."), said
        subprocess.run([mount, "-o", "remount,size=100m", str(root)], check=True)
        assert copy.set_up()[0] == 0
        copy.assert_whole()
    finally:
        subprocess.run(["umount", str(root)], check=True)
