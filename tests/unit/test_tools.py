"""The tools that run outside the package: the set-up before anything is installed, and the re-execution of lessons."""

import json
import sys
from pathlib import Path

import nbformat
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
    assert "0.3 GB are free" in full and "needs 3 GB" in full


def test_a_package_whose_installation_was_cut_short_is_forgotten(tmp_path):
    whole, torn = tmp_path / "whole-1.dist-info", tmp_path / "torn-1.dist-info"
    for folder, last in (whole, "INSTALLER"), (torn, "RECORD"):
        folder.mkdir()
        (folder / last).touch()
    set_up.remove_torn_packages(tmp_path)
    assert list(tmp_path.iterdir()) == [whole]


def test_a_changed_file_or_a_moved_folder_is_noticed(tmp_path, monkeypatch):
    needed = ["requirements.txt", "pyproject.toml", set_up.SETTINGS]
    for path in (tmp_path / name for name in needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("numpy==1")
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "PYTHON", tmp_path / "pyproject.toml")
    monkeypatch.setattr(set_up, "INSTALLED", tmp_path / "installed.txt")
    files = ["requirements.txt"]
    assert set_up.changed(files) == files
    set_up.INSTALLED.write_text(set_up.fingerprint(files[0]))
    assert set_up.changed(files) == []
    for name in needed:
        (tmp_path / name).write_text("numpy==2")
        assert set_up.changed(files) == files
        set_up.INSTALLED.write_text(set_up.fingerprint(files[0]))
    monkeypatch.setattr(set_up, "ROOT", tmp_path.rename(tmp_path.with_name("moved")))
    monkeypatch.setattr(set_up, "INSTALLED", set_up.ROOT / "installed.txt")
    monkeypatch.setattr(set_up, "PYTHON", set_up.ROOT / "pyproject.toml")
    assert set_up.changed(files) == files


def test_jupyterlab_finds_the_settings_that_the_package_brings_and_knows_them():
    found, problem = settings_utils._get_overrides(str(Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings"))
    ours = json.loads((set_up.ROOT / "mha_lab/widgets/jupyterlab.json").read_text(encoding="utf-8"))
    assert found.items() >= ours.items() and not problem
    assert ours["@jupyter-widgets/jupyterlab-manager:plugin"]["saveState"], "an explorer is saved with its notebook"
    for plugin, changes in ours.items():
        extension, name = plugin.split(":")
        schema = f"share/jupyter/labextensions/{extension}/schemas/{extension}/{name}.json"
        assert set(changes) <= set(json.loads((Path(sys.prefix) / schema).read_text())["properties"])


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
