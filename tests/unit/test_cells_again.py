"""Each cell of a lesson can be run again at its end. The lessons themselves are tried where nbval runs them, in the
kernel that has just run them (conftest.py): here is what such a second run finds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import run_again
import run_notebooks

ROOT = Path(__file__).parents[2]
FIGURE = "import matplotlib.pyplot as plt\n%config InlineBackend.close_figures = True\nplt.plot({}); plt.show()"

LESSON = {
    "one": "x = 3\nprint('x is', x)",
    "uses-x": "x + 1",
    "measures": "import itertools\nn = globals().get('n', 0) + 1\nn",
    "reuses-x": "x = 'a word'",
    "counts": "total = globals().get('total', 0) + 1\nprint(total)",
    "figure": FIGURE.format("[1, 2, 3]"),
    "moving": "k = globals().get('k', 0) + 1\n" + FIGURE.format("[1, k]"),
    "fails": "'seen' in globals() and 1 / 0\nseen = True",
    "more": "more = globals().get('more', 0) + 1\nfor _ in range(more): display(1)",
    "silent": "y = 1  # says nothing",
    "explorer": "from mha_lab.widgets import TrueOrFalse\nTrueOrFalse()",
}


def notebook(cells):
    made = [nbformat.v4.new_code_cell(source, id=name) for name, source in cells.items()]
    for cell in made:
        cell.metadata.tags = [run_notebooks.MEASUREMENT] if cell.id == "measures" else []
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 99"), *made])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{cell: what differs, or None}"""
    with run_notebooks.own_settings():
        reruns = run_again.run_twice(notebook(LESSON), tmp_path_factory.mktemp("lesson"))
    return {rerun.cell: run_again.difference(rerun) for rerun in reruns}


def test_a_cell_that_says_the_same_is_not_named(found):
    same = [cell for cell, difference in found.items() if difference is None]
    assert same == ["one", "uses-x", "reuses-x", "figure", "silent", "explorer"]


def test_a_measurement_is_not_run_again(found):
    assert "measures" not in found


def test_a_name_used_again_for_another_type_is_found():
    with run_notebooks.own_settings():
        used = {"one": "x = 3", "print": "x + 1", "other": "x = 'word'"}
        (_, second, _) = run_again.run_twice(notebook({**used, "one": "x = globals().get('x', 3)"}), ROOT)
    assert run_again.difference(second).startswith('print: TypeError: can only concatenate str (not "int")')


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("counts", "counts: its stdout is another one\n      - 1\n      + 2"),
        ("moving", "moving: its picture is another one"),
        ("fails", "fails: ZeroDivisionError: division by zero"),
        ("more", "more: 2 outputs, 1 before"),
    ],
)
def test_what_a_second_run_says_otherwise_is_told(found, cell, words):
    assert found[cell] == words


def test_the_report_names_all_cells_that_differ(tmp_path):
    path = tmp_path / "99_x.ipynb"
    nbformat.write(notebook({"one": "print(1)"}), path)
    before = path.read_bytes()
    with run_notebooks.own_settings():
        assert run_again.report(path).startswith("1 cells say the same again (")
        nbformat.write(notebook({name: LESSON[name] for name in ("one", "counts", "fails")}), path)
        with pytest.raises(ValueError, match="(?s)2 of 3 cells say something else .*counts: .*fails: Zero"):
            run_again.report(path)
    assert before and path.read_bytes() != before and not list(tmp_path.glob(".*"))


# in make test --------------------------------------------------------------------------------------------------------


def verdicts_of_nbval(folder, cells):
    """{item: PASSED or FAILED} for a lesson whose stored outputs are those of its first run, and what pytest says."""
    lesson = folder / "99_a_lesson.ipynb"
    with run_notebooks.own_settings():
        nbformat.write(notebook(cells), lesson)
        nbformat.write(run_notebooks.tidy(run_notebooks.execute(lesson)), lesson)
    settings = ["-c", ROOT / "pyproject.toml", f"--rootdir={ROOT}", "-p", "conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-rA", "--color=no", lesson],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    verdicts = re.findall(r"^(PASSED|FAILED) \S*::(Cell [0-9]+(?: again)?)", done.stdout, re.M)
    return {name: verdict for verdict, name in verdicts}, done.stdout


def test_nbval_runs_each_deterministic_cell_of_a_lesson_again(tmp_path):
    names = "one", "measures", "counts", "figure", "moving", "fails"
    verdicts, said = verdicts_of_nbval(tmp_path, {name: LESSON[name] for name in names})
    again = ["PASSED", None, "FAILED", "PASSED", "FAILED", "FAILED"]
    expected = {f"Cell {at}": "PASSED" for at in range(6)}
    expected |= {f"Cell {at} again": verdict for at, verdict in enumerate(again) if verdict}
    assert verdicts == expected, said
    assert "Cell 4: Run again, the cell draws another picture." in said
