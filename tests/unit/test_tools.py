"""The tools that run outside the package: the set-up before anything is installed, and the re-execution of lessons."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import make_handouts
import nbformat
import pytest
import run_notebooks
import set_up
from jupyterlab_server import settings_utils

# set_up --------------------------------------------------------------------------------------------------------------


def test_an_old_python_a_missing_venv_and_a_full_disk_are_each_answered_with_a_sentence():
    fits = {"version": (3, 11), "has_venv": True, "free_gb": 3.0, "needs_gb": 3}
    assert set_up.objection(**fits) is None
    assert "Python 3.9 is too old: the lab needs 3.11 or newer" in set_up.objection(**fits | {"version": (3, 9)})
    assert "apt install python3-venv" in set_up.objection(**fits | {"has_venv": False})
    full = set_up.objection(**fits | {"free_gb": 0.28})
    assert "0.2 GB are free" in full and "needs 3 GB" in full
    assert "2.9 GB are free" in set_up.objection(**fits | {"free_gb": 2.99}), "never rounded up to what is needed"


def test_an_old_python_can_read_the_set_up():
    ast.parse(Path(set_up.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
    assert Path(set_up.__file__).read_text(encoding="utf-8").isascii(), "so that any terminal shows its messages"


@pytest.mark.parametrize(
    "said, words",
    [
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError'",
            "No connection to the pack",
        ),
        (
            "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 403'))",
            "No connection to the package",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "No connection to the package index"),
        (
            "ERROR: Could not find a version that satisfies x==1 (from versions: none)",
            "index was not reached, or it lacks",
        ),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "The disk is full."),
        ("ERROR: [Errno 13] Permission denied: '/lab/.venv/bin/pip'", "This user may not write into"),
    ],
)
def test_what_stopped_pip_is_told_in_a_sentence(said, words):
    assert words in set_up.reason(said)
    assert set_up.reason("ERROR: Cannot install x==1 and y==2 because of conflicting dependencies") is None


def test_a_proxy_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    assert "the proxy proxy.example:3128 that HTTPS_PROXY names" in set_up.no_index()


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A folder with an environment that holds no pip and one package of ours, as it stands once it is installed."""
    root = tmp_path_factory.mktemp("lab")
    needed = ["requirements.txt", "constraints.txt", "pyproject.toml", set_up.SETTINGS]
    for path in (root / name for name in needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("-c constraints.txt\ntorch==1.0\n" if path.name == "requirements.txt" else "")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    (packages,) = root.glob(".venv/lib/python*/site-packages")
    for path, content in {
        "torch/nn.py": "layer = 1\n",
        "torch-1.0.dist-info/RECORD": "torch/nn.py,sha256=0,10\ntorch-1.0.dist-info/RECORD,,\n",
        "torch-1.0.dist-info/INSTALLER": "pip\n",
        "theirs-1.0.dist-info/RECORD": "gone.py,,1\n",
    }.items():
        (packages / path).parent.mkdir(exist_ok=True)
        (packages / path).write_text(content)
    return root


@pytest.fixture
def lab(bare, tmp_path, monkeypatch):
    """A copy of it, with its record."""
    root = tmp_path / "lab"
    shutil.copytree(bare, root, symlinks=True)
    look_at(root, monkeypatch)
    set_up.write(set_up.INSTALLED, set_up.fingerprint("requirements.txt", set_up.venv()) + "\n")
    return root


def look_at(root, monkeypatch):
    venv = root / ".venv"
    for name, path in {
        "ROOT": root,
        "VENV": venv,
        "PYTHON": venv / "bin/python",
        "INSTALLED": venv / "installed.txt",
    }.items():
        monkeypatch.setattr(set_up, name, path)


def judged():
    """Whether something is to be installed, and why .venv must be made anew for it."""
    found = set_up.venv()
    return bool(set_up.outdated(["requirements.txt"], found)), set_up.why_anew(found)


def test_what_is_installed_and_whole_is_left_alone(lab):
    assert judged() == (False, None), "also where a package that is not ours has lost files"


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt", "pyproject.toml", set_up.SETTINGS])
def test_a_changed_file_is_noticed(name, lab):
    with (lab / name).open("a") as file:
        file.write("# changed")
    assert judged() == (True, None)


def test_a_moved_folder_is_noticed(lab, monkeypatch):
    look_at(lab.rename(lab.with_name("moved")), monkeypatch)
    assert judged() == (True, None)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\n x", bytes(range(256)), bytes(80), b"0" * 64 + b" requirements.txt"]
)
def test_a_record_that_says_nothing_counts_as_none(content, lab):
    set_up.INSTALLED.write_bytes(content)
    assert judged() == (True, None)


@pytest.mark.parametrize(
    "path, content",
    [
        ("torch/nn.py", None),
        ("torch/nn.py", b""),
        ("torch-1.0.dist-info/INSTALLER", None),
        ("torch-1.0.dist-info/RECORD", None),
        ("torch-1.0.dist-info/RECORD", b""),
        ("torch-1.0.dist-info/RECORD", bytes(range(256))),
        ("torch-1.0.dist-info/RECORD", b"one,field\nfour,fields,in,it"),
    ],
)
def test_a_package_that_lost_files_or_was_cut_short_is_installed_again(path, content, lab):
    packages = set_up.venv().packages
    (packages / path).unlink()
    if content is not None:
        (packages / path).write_bytes(content)
    assert judged() == (True, None)
    assert [info.name for info in set_up.torn_packages(packages)] == ["torch-1.0.dist-info"]


def test_files_that_pip_does_not_bring_back_are_asked_for_once(lab):
    (set_up.venv().packages / "torch/nn.py").unlink()
    with set_up.INSTALLED.open("a") as record:
        record.write("lost torch/nn.py\n")
    assert judged() == (False, None)


def python_that(*lines):
    def replace():
        set_up.PYTHON.unlink()
        set_up.PYTHON.write_text("\n".join(["#!/bin/sh", *lines]))
        set_up.PYTHON.chmod(0o755)

    return replace


def python_is_a_folder():
    set_up.PYTHON.unlink()
    set_up.PYTHON.mkdir()


def python_leads_nowhere():
    set_up.PYTHON.unlink()
    set_up.PYTHON.symlink_to("/nonexistent/python3")


def venv_leads_nowhere():
    shutil.rmtree(set_up.VENV)
    set_up.VENV.symlink_to("/nonexistent/disk")


def packages_of_before():
    folder = set_up.venv().packages.parent
    folder.rename(folder.with_name("python3.2"))


DOES_NOT_RUN = "its Python does not run"


@pytest.mark.parametrize(
    "fault, why",
    [
        (python_that("exit 1"), DOES_NOT_RUN),
        (python_that("echo hello"), DOES_NOT_RUN),
        (python_that("head -c 999 /dev/urandom"), DOES_NOT_RUN),
        (python_that('exec python3 "$@"'), DOES_NOT_RUN),  # one that runs, elsewhere
        (python_that("kill -9 $$"), DOES_NOT_RUN),
        (lambda: set_up.PYTHON.write_bytes(b"") if not set_up.PYTHON.unlink() else None, DOES_NOT_RUN),
        (python_is_a_folder, DOES_NOT_RUN),
        (python_leads_nowhere, DOES_NOT_RUN),
        (lambda: (set_up.VENV / "pyvenv.cfg").unlink(), DOES_NOT_RUN),
        (lambda: shutil.rmtree(set_up.VENV / "bin"), DOES_NOT_RUN),
        (lambda: (set_up.VENV / "bin" / "activate").unlink(), "making it was cut short"),
        (packages_of_before, "its packages are for another Python"),
        (venv_leads_nowhere, "it is a link that leads nowhere"),
        (lambda: shutil.rmtree(set_up.VENV), "there is none yet"),
    ],
)
def test_an_environment_in_doubt_is_made_anew(fault, why, lab):
    fault()
    assert judged() == (True, why)


def test_a_start_up_file_that_prints_is_no_doubt(lab):
    (set_up.venv().packages / "sitecustomize.py").write_text("print('hello from the IT department')\n")
    assert judged() == (False, None)


def test_the_way_to_the_labs_folder_is_plain_ascii(lab):
    path = set_up.venv().packages / "_editable_impl_mha_lab.pth"
    path.write_text(str(lab))
    set_up.lead_home(path.parent)
    assert (path.parent / path.read_text().strip()).resolve() == lab.resolve()
    assert not set(path.read_text()) - set("./\n")


def test_jupyterlab_finds_the_settings_that_the_package_brings_and_knows_them():
    found, problem = settings_utils._get_overrides(str(Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings"))
    ours = json.loads((set_up.ROOT / "mha_lab/widgets/jupyterlab.json").read_text(encoding="utf-8"))
    assert found.items() >= ours.items() and not problem
    assert ours["@jupyter-widgets/jupyterlab-manager:plugin"]["saveState"], "an explorer is saved with its notebook"
    for plugin, changes in ours.items():
        extension, name = plugin.split(":")
        schema = f"share/jupyter/labextensions/{extension}/schemas/{extension}/{name}.json"
        assert set(changes) <= set(json.loads((Path(sys.prefix) / schema).read_text())["properties"])


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_no_setting_of_the_users_leads_the_labs_python_to_other_packages():
    theirs = {"PYTHONPATH": "/opt/ros/packages", "PYTHONHOME": "/usr", "PYTHONSAFEPATH": "1"}
    show = "show: ; @env | grep -E '^(PYTHONPATH|PYTHONHOME|PYTHONSAFEPATH)=' || echo none"
    run = ["make", "--no-print-directory", f"--eval={show}", "show"]
    answer = subprocess.run(run, cwd=set_up.ROOT, env=os.environ | theirs, capture_output=True, text=True)
    if "--eval" in answer.stderr:
        pytest.skip("this make is too old to be asked")
    assert answer.stdout == "none\n"


# what writes files ---------------------------------------------------------------------------------------------------

# Into `partial`, which _whole.beside gave, or into a `file` or `buffer` that is opened where this can see it.
IN_PLACE = re.compile(
    r"""\.write_(text|bytes)\(|\bsave_file\(|\bnbformat\.write\(|screenshot\([^)]*path=|\btouch\(|\bshutil\.(copy|move)
    |\.(savez|savez_compressed|save|savefig|savetxt|tofile)\((?!(file|buffer)\b)(?=[^)]*\b(path|\w*PATH|target|DATA|RECORDED)\b)
    |\bopen\((?:[^()]|\([^()]*\))*["'][rbt]*[wax+][rbt+]*["']""",
    re.X,
)
BY_THEMSELVES = {
    "mha_lab/_whole.py": "is the way",
    "tools/set_up.py": "runs before anything is installed, and writes beside by its own few lines",
    "benchmarks/lessons.py": "writes copies into a temporary folder",
    "tools/class_env.py": "makes an environment anew; a line that is written last says that it is whole",
    "mha_lab/parallel/processes.py": "writes into a temporary folder, which ends with the call",
    "mha_lab/parallel/_rank.py": "writes into that folder; its answers are written beside and renamed",
}


def written_in_place(source):
    """The calls in a source that write a file where the old one stands."""
    joined = re.sub(r"\(\s+", "(", source)
    return [line.strip() for line in joined.splitlines() if IN_PLACE.search(line) and "partial" not in line]


@pytest.mark.parametrize(
    "line",
    [
        'path.write_text(page, encoding="utf-8")',
        "_timings.RECORDED.write_bytes(content)",
        "np.savez(path, **arrays)",
        "np.savez_compressed(\n    path, a=1)",
        "np.savez(DATA / 'intents.npz', **arrays)",
        "torch.save(model, path)",
        "save_file(tensors, path)",
        'with KEPT.open("a") as file:',
        'with open(path, "w", encoding="utf-8") as file:',
        'with open(str(path), mode="r+b") as file:',
        'with wave.open(str(path), "wb") as file:',
        "nbformat.write(notebook, path)",
    ],
)
def test_what_writes_in_place_is_seen(line):
    assert written_in_place(line)


def test_every_file_is_written_beside_the_old_one_and_renamed():
    """So that a full disk, an interrupt or a kill leaves the old one whole."""
    folders = ("mha_lab", "tools", "data", "benchmarks")
    sources = [path for folder in folders for path in (set_up.ROOT / folder).rglob("*.py")]
    found = {path.relative_to(set_up.ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sources}
    assert len(found) > 50
    in_place = {name: calls for name in found.keys() - BY_THEMSELVES if (calls := written_in_place(found[name]))}
    assert in_place == {}


# run_notebooks ------------------------------------------------------------------------------------------------------


def code_cell(name, *outputs, source="…", count=1, **metadata):
    return nbformat.v4.new_code_cell(source, id=name, outputs=list(outputs), execution_count=count, metadata=metadata)


def notebook(*cells, **metadata):
    return nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)


def stream(name, text):
    return nbformat.v4.new_output("stream", name=name, text=text)


def result(value, count=1):
    return nbformat.v4.new_output("execute_result", {"text/plain": value}, execution_count=count)


def test_tidy_takes_out_what_differs_between_machines():
    messy = notebook(
        code_cell(
            "print",
            stream("stdout", "a\n"),
            stream("stdout", "b\n"),
            stream("stderr", "c\n"),
            execution={"iopub.execute_input": "12:00"},
            tags=["kept"],
        ),
        language_info={"name": "python", "version": "3.11.7"},
        kernelspec={"name": "my-kernel", "display_name": "Mine", "language": "python"},
        widgets={"application/vnd.jupyter.widget-state+json": {}},
    )
    tidy = run_notebooks.tidy(messy)
    assert tidy.metadata == {"kernelspec": run_notebooks.KERNEL, "language_info": {"name": "python"}}
    assert tidy.cells[0].metadata == {"tags": ["kept"]}
    assert [output.text for output in tidy.cells[0].outputs] == ["a\nb\n", "c\n"]
    nbformat.validate(tidy)


def test_tidy_keeps_the_picture_and_drops_the_widget_view():
    def shown(**data):
        return nbformat.v4.new_output("display_data", {run_notebooks.WIDGET: {"model_id": "1"}, **data})

    drawn = {"image/png": "iVBO", "text/plain": "HeadExplorer"}
    controls = shown(**{"text/plain": "VBox(children=(Button(), Output()))"})
    cells = code_cell("drawn", shown(**drawn)), code_cell("bare", shown()), code_cell("controls", controls)
    tidy = run_notebooks.tidy(notebook(*cells))
    assert tidy.cells[0].outputs[0].data == drawn
    assert tidy.cells[2].outputs[0].data == {"text/plain": run_notebooks.CONTROLS}
    assert set(tidy.cells[1].outputs[0].data) == {run_notebooks.WIDGET}  # nothing else would be left to see


def test_a_measurement_keeps_its_stored_output_until_its_source_changes():
    def measured(name, value, source="…", count=1, tags=(run_notebooks.MEASUREMENT,)):
        return code_cell(name, result(value, count), source=source, count=count, tags=list(tags))

    stored = notebook(
        measured("same", "1 ms", count=3), measured("edited", "1 MB"), measured("not-measured", "1", tags=())
    )
    rerun = notebook(
        measured("same", "2 ms"), measured("edited", "2 MB", source="other"), measured("not-measured", "2", tags=())
    )
    run_notebooks.keep_measurements(rerun, stored)
    outputs = [cell.outputs[0] for cell in run_notebooks.tidy(rerun).cells]
    assert [output.data["text/plain"] for output in outputs] == ["1 ms", "2 MB", "2"]
    assert outputs[0].execution_count == 1


def test_running_a_lesson_twice_gives_the_same_bytes(tmp_path):
    path = tmp_path / "99_scratch.ipynb"
    piecewise = "import random, time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.05)"
    nbformat.write(
        notebook(
            code_cell("pieces", source=piecewise),
            code_cell("folder", source="from pathlib import Path\nPath.cwd().name"),
            code_cell("measured", source="random.random()", tags=[run_notebooks.MEASUREMENT]),
        ),
        path,
    )
    assert run_notebooks.run(path)
    first = path.read_bytes()
    assert not run_notebooks.run(path)
    assert path.read_bytes() == first
    pieces, folder, measured = nbformat.read(path, as_version=4).cells
    assert pieces.outputs == [stream("stdout", "0\n1\n2\n")]
    assert folder.outputs == [result(repr(tmp_path.name), count=2)]
    assert run_notebooks.run(path, measure=True)
    assert nbformat.read(path, as_version=4).cells[2].outputs != measured.outputs


NO_NOTEBOOKS = {
    "01_text": b"no JSON",
    "02_empty": b"",
    "03_cut": b'{"cells": [{"cell_type": "code", "sour',
    "04_list": b"[]",
    "05_object": b"{}",
    "06_numbers_for_cells": b'{"cells": [3], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "07_binary": bytes(range(256)),
    "08_zeros": bytes(4096),
}


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """A folder of files that are no notebooks, one that cannot be read, one with an error in a cell, and a good one."""
    for name, content in NO_NOTEBOOKS.items():
        (tmp_path / f"{name}.ipynb").write_bytes(content)
    (tmp_path / "09_folder.ipynb").mkdir()
    (tmp_path / "10_link.ipynb").symlink_to("/nonexistent")
    nbformat.write(notebook(code_cell("wrong", source="1 / 0")), tmp_path / "11_error.ipynb")
    nbformat.write(
        notebook(nbformat.v4.new_markdown_cell("no heading"), code_cell("x", source="1")), tmp_path / "12_good.ipynb"
    )
    monkeypatch.setattr(run_notebooks, "LESSONS", tmp_path)
    return tmp_path


def test_a_broken_lesson_stops_no_other_and_the_end_says_which(lessons, capsys):
    before = {path: path.read_bytes() for path in lessons.iterdir() if path.is_file()}
    assert run_notebooks.main([]) == 11
    said = capsys.readouterr().out
    for name in NO_NOTEBOOKS:
        assert f"{name}.ipynb is no notebook: it is empty, cut short, or something else." in said
    assert f"{lessons / '09_folder.ipynb'}: Is a directory." in said and "ZeroDivisionError" in said
    assert re.search(r"12_good.ipynb  [\d.]+ s  changed", said)
    last = said.splitlines()[-1]
    assert last.startswith("11 of 12 failed and were left as they were: 01_text.ipynb, ") and "12_good" not in last
    assert [path.name for path in before if path.read_bytes() != before[path]] == ["12_good.ipynb"]


def test_a_broken_lesson_stops_no_other_handout_either(lessons, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_handouts, "HANDOUTS", tmp_path / "handouts")
    assert make_handouts.main(["07", "11", "12"]) == 2
    assert "2 of 3 failed and were left as they were: 07_binary.ipynb, 11_error.ipynb" in capsys.readouterr().out
    pages = {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / "handouts").iterdir()}
    assert pages.keys() == {"12_good.html", "index.html"} and "<title>12_good</title>" in pages["12_good.html"]
    assert "12_good.html" in pages["index.html"] and "11_error.html" not in pages["index.html"]


def test_with_lesson_14_comes_the_sheet_of_decisions(tmp_path, monkeypatch):
    monkeypatch.setattr(make_handouts, "HANDOUTS", tmp_path)
    monkeypatch.setattr(make_handouts.shutil, "which", lambda name: None)
    assert make_handouts.sheet(Path("13_x.ipynb")) == "" and not list(tmp_path.iterdir())
    said = make_handouts.sheet(Path("14_choosing.ipynb"))
    assert "choosing.html, one sheet of A4; no PDF, for no Chromium was found to print it" in said
    assert [path.name for path in tmp_path.iterdir()] == ["choosing.html"]


def test_a_lesson_that_somebody_saves_while_it_runs_keeps_what_was_saved(tmp_path):
    path = tmp_path / "99_scratch.ipynb"
    nbformat.write(
        notebook(code_cell("x", source=f"from pathlib import Path\nPath({str(path)!r}).write_text('theirs')")), path
    )
    with pytest.raises(ValueError, match="99_scratch.ipynb was saved by somebody else while it ran: that is kept"):
        run_notebooks.run(path)
    assert path.read_text() == "theirs"


def test_a_lesson_runs_without_the_settings_of_whoever_runs_it(tmp_path, monkeypatch):
    nowhere = str(tmp_path / "no home")  # a place of this test: root would make one anywhere, and leave it to the next
    theirs = {"MPLBACKEND": "Agg", "COLUMNS": "30", "HOME": nowhere, "LC_ALL": "C", "PYTHONOPTIMIZE": "1"}
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ipython" / "profile_default" / "startup").mkdir(parents=True)
    (tmp_path / "ipython" / "profile_default" / "startup" / "mine.py").write_text("print('my start-up file')")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "ipython" / "matplotlibrc").write_text("lines.linewidth: 7\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "ipython"))
    source = """
import os, shutil, matplotlib.pyplot as plt
plt.plot([1])
print("多头", shutil.get_terminal_size().columns, plt.rcParams["lines.linewidth"], __debug__)
"""
    path = tmp_path / "99_scratch.ipynb"
    nbformat.write(notebook(code_cell("x", source=source)), path)
    before = dict(os.environ)
    with run_notebooks.own_settings():
        run_notebooks.run(path)
    (cell,) = nbformat.read(path, as_version=4).cells
    printed = [output.text for output in cell.outputs if output.output_type == "stream"]
    assert printed == ["多头 80 1.5 True\n"]
    assert [output for output in cell.outputs if "image/png" in output.get("data", {})], "its figure stands there"
    assert dict(os.environ) == before
