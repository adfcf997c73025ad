"""`make notebooks` under kill -9, interrupts, a full disk and two writers: a lesson is the old one or the new one."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import make_handouts
import nbformat
import pytest
import run_notebooks

resource = pytest.importorskip("resource", reason="signals and limits of Unix")
NOTES = "# 01 · A lesson\nand what a learner wrote into it"
LETTERS = 200_000  # so that writing takes a while
PRINTS = f"import secrets\nprint(secrets.choice('abc') * {LETTERS})"  # something else each time


def write_lesson(path, *sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(NOTES, id="notes"), *cells]), path)


def assert_whole(path):
    """Whole JSON with the learner's notes, and of the printed letters none or all."""
    notes, *code = nbformat.read(path, as_version=4).cells
    assert notes.source == NOTES
    for output in (output for cell in code for output in cell.outputs if output.output_type == "stream"):
        assert len(output.text) == LETTERS + 1 and len(set(output.text)) == 2


@pytest.fixture(scope="module")
def processes():
    """New processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mha_lab.widgets", "nbclient", "nbconvert", "pytest"])
    return context


def runs_notebooks(folder, said, begun, arguments):
    """What make notebooks does, in a process of its own, with what it says in a file."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may have been told to ignore it
    for descriptor in 1, 2:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    run_notebooks.LESSONS, tempfile.tempdir = folder, str(folder / "temporary")
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    begun.set()
    sys.exit(run_notebooks.main(arguments))


def started(processes, folder, *arguments):
    begun = processes.Event()
    said = folder / "said"
    said.unlink(missing_ok=True)
    process = processes.Process(target=runs_notebooks, args=(folder, said, begun, list(arguments)))
    process.start()
    assert begun.wait(60)
    return process


def end(process, folder):
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode, (folder / "said").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "an interrupt"])
def test_at_twenty_random_moments_the_lessons_stay_whole(number, processes, tmp_path):
    paths = [tmp_path / "01_first.ipynb", tmp_path / "02_second.ipynb"]
    for path in paths:
        write_lesson(path, PRINTS)
    chance, stopped = random.Random(number), 0
    for _ in range(20):
        process = started(processes, tmp_path)
        time.sleep(chance.uniform(0, 2.2))
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(process.pid, number)
        code, said = end(process, tmp_path)
        assert code in (0, 1, -number)
        if number == signal.SIGINT and code == 1:
            assert "Interrupted in 0" in said and "its file is as it was" in said, said
            assert "FAILED" not in said and not (said.count("changed") and "Interrupted in 01" in said)
        stopped += code != 0
        for path in paths:
            assert_whole(path)
    assert stopped > 5, "most were stopped before their end"
    assert end(started(processes, tmp_path), tmp_path)[0] == 0, "and the next one runs as ever"


def writes(path, begun):
    """The moment of writing again and again: run() without a kernel."""

    def execute(path):
        notebook = nbformat.read(path, as_version=4)
        text = chance.choice("abc") * LETTERS + "\n"
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        return notebook

    chance, run_notebooks.execute = random.Random(), execute
    begun.set()
    while True:
        run_notebooks.run(path)


def test_killed_while_it_writes_the_lesson_stays_whole(processes, tmp_path):
    path, chance, seen = tmp_path / "01_first.ipynb", random.Random(0), set()
    write_lesson(path, PRINTS)
    for _ in range(20):
        begun = processes.Event()
        process = processes.Process(target=writes, args=(path, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(chance.uniform(0.02, 0.3))
        process.kill()
        process.join(60)
        assert_whole(path)
        seen.add(path.stat().st_ino)
    assert len(seen) > 2, "it was written between the kills"


def test_of_two_that_run_the_same_lesson_one_whole_file_stands(processes, tmp_path):
    path = tmp_path / "01_first.ipynb"
    write_lesson(path, PRINTS)
    both = [started(processes, tmp_path), started(processes, tmp_path)]
    codes = [end(process, tmp_path)[0] for process in both]
    assert codes.count(0) >= 1, "the one that came second may have been told that somebody else saved it"
    assert_whole(path)
    assert not list(tmp_path.glob(".*"))


# a full disk --------------------------------------------------------------------------------------------------------


@contextmanager
def tiny_disk(folder):
    """A file system of 300 kB, where this user may mount one; else the limit on a file's size stands in for it."""
    size = 300 * 1024
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tiny", str(folder)]
    mounted = mount and subprocess.run(command, capture_output=True).returncode == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_each_lesson_whole_and_says_so(tmp_path, monkeypatch, capsys):
    with tiny_disk(tmp_path) as folder:
        monkeypatch.setattr(run_notebooks, "LESSONS", folder)
        large, small = folder / "01_large.ipynb", folder / "02_small.ipynb"
        write_lesson(large, PRINTS.replace(str(LETTERS), str(LETTERS * 4)))
        write_lesson(small, "1 + 1")
        before = large.read_bytes()
        assert run_notebooks.main([]) == 1
        said = capsys.readouterr().out
        assert "No space left on device." in said or "File too large." in said
        assert "1 of 2 failed and were left as they were: 01_large.ipynb" in said
        assert large.read_bytes() == before
        assert nbformat.read(small, as_version=4).cells[1].outputs, "a small one still found room"
        assert sorted(os.listdir(folder)) == [large.name, small.name], "and nothing half written is left"


def test_a_full_disk_leaves_the_handout_of_before(tmp_path, monkeypatch, capsys):
    lessons, handouts = tmp_path / "lessons", tmp_path / "handouts"
    lessons.mkdir()
    handouts.mkdir()
    monkeypatch.setattr(run_notebooks, "LESSONS", lessons)
    monkeypatch.setattr(make_handouts, "HANDOUTS", handouts)
    with tiny_disk(handouts):
        write_lesson(lessons / "01_first.ipynb", "1 + 1")
        assert make_handouts.main([]) == 0
        page = (handouts / "01_first.html").read_bytes()
        write_lesson(lessons / "01_first.ipynb", PRINTS.replace(str(LETTERS), str(LETTERS * 4)))
        assert make_handouts.main([]) == 1
        assert "No space left" in (said := capsys.readouterr().out) or "File too large" in said
        assert (handouts / "01_first.html").read_bytes() == page
        assert sorted(os.listdir(handouts)) == ["01_first.html", "index.html"], "and nothing half written is left"


def test_a_full_disk_leaves_the_index_of_handouts_of_before(tmp_path, monkeypatch, capsys):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "lessons").mkdir()
    (tmp_path / "handouts").mkdir()
    monkeypatch.setattr(run_notebooks, "LESSONS", tmp_path / "lessons")
    monkeypatch.setattr(make_handouts, "HANDOUTS", tmp_path / "handouts")
    write_lesson(tmp_path / "lessons" / "01_first.ipynb", "1 + 1")
    assert make_handouts.main([]) == 0
    index = (tmp_path / "handouts" / "index.html").read_bytes()
    monkeypatch.setattr(make_handouts.handout_index._whole, "write", no_room)
    assert make_handouts.main([]) >= 1
    assert "index.html was left as it was: No space left on device." in capsys.readouterr().out
    assert (tmp_path / "handouts" / "index.html").read_bytes() == index


def test_a_full_disk_leaves_the_saved_page_of_before(tmp_path):
    from mha_lab import widgets

    explorer, path = widgets.CostExplorer(), tmp_path / "costs.html"
    with tiny_disk(tmp_path):
        path.write_text("the page of before")
        Path(tmp_path / "filler").write_bytes(bytes(200 * 1024))
        with pytest.raises(OSError, match=r"cannot be written: (No space left on device|File too large)\."):
            explorer.save_html(path, title="x" * 400_000)
        assert path.read_text() == "the page of before" and sorted(os.listdir(tmp_path)) == ["costs.html", "filler"]
