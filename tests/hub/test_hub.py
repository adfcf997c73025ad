"""A class's hub: homes, limits, copies, sizes, and the values for Kubernetes. make hub-test runs it in build/hub."""

import importlib.util
import json
import os
import re
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLASSROOM = ROOT / "classroom"
sys.path.insert(0, str(CLASSROOM))

import class_spawner  # noqa: E402
import hub_test  # noqa: E402
import sizing  # noqa: E402
import student_server  # noqa: E402

VALUES = yaml.safe_load((CLASSROOM / "kubernetes" / "values.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (CLASSROOM / "kubernetes" / "Dockerfile").read_text(encoding="utf-8")


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


check = module(CLASSROOM / "kubernetes" / "check.py")


# homes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def spawner(tmp_path):
    """Makes a spawner for a student of this name, with homes in a folder of the test's own."""

    def make(name):
        made = class_spawner.ClassSpawner(homes=str(tmp_path))
        made.user = SimpleNamespace(name=name, url="/")
        return made

    return make


def test_a_home_is_closed_to_other_students(spawner):
    made = spawner("amy")
    made.make_home()
    assert stat.S_IMODE(made.home.stat().st_mode) == 0o700


def test_started_by_root_each_student_is_a_user_of_their_own_and_stays_it(spawner):
    if os.geteuid():
        pytest.skip("only root gives users their numbers")
    amy, bo = spawner("amy"), spawner("bo")
    numbers = amy.make_home(), bo.make_home()
    assert numbers == (class_spawner.FIRST_UID, class_spawner.FIRST_UID + 1)
    assert (amy.make_home(), bo.make_home()) == numbers
    assert amy.home.stat().st_uid == numbers[0]


@pytest.mark.parametrize("name", ["..", "../amy", "amy/..", ".ssh", "", "a" * 33, "amy bo"])
def test_a_name_that_leads_elsewhere_is_refused(spawner, name):
    with pytest.raises(ValueError, match="is no name for a folder"):
        spawner(name).make_home()


def test_a_home_of_somebody_else_is_refused(spawner, tmp_path):
    if os.geteuid():
        pytest.skip("only root gives users their numbers")
    (tmp_path / "amy").mkdir()  # root's own
    with pytest.raises(ValueError, match="is no student"):
        spawner("amy").make_home()


def test_folders_that_students_may_not_enter_are_found(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "lab").mkdir()
    assert str(tmp_path) in class_spawner.hidden(tmp_path / "lab")


# lessons -------------------------------------------------------------------------------------------------------------


def lesson(text):
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [text]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path):
    """A lab with one lesson, and a student's empty home."""
    lessons, home = tmp_path / "lab" / "notebooks", tmp_path / "home"
    for folder in lessons, home, tmp_path / "lab" / "data":
        folder.mkdir(parents=True)
    (lessons / "00_start.ipynb").write_text(lesson("first"))
    return SimpleNamespace(lessons=lessons, home=home, root=tmp_path / "lab", mine=home / "my_notebooks")


def test_the_first_login_copies_the_lessons_and_leads_their_links_to_the_lab(course):
    student_server.prepare(course.home, course.lessons, course.root)
    assert "first" in (course.mine / "00_start.ipynb").read_text()
    assert (course.home / "data").resolve() == (course.root / "data").resolve()


def test_a_lesson_that_changed_comes_beside_and_nothing_is_overwritten(course):
    student_server.prepare(course.home, course.lessons, course.root)
    (course.mine / "00_start.ipynb").write_text(lesson("mine"))
    (course.lessons / "00_start.ipynb").write_text(lesson("second"))
    told = student_server.prepare(course.home, course.lessons, course.root)
    assert "mine" in (course.mine / "00_start.ipynb").read_text()
    assert "second" in (course.mine / "00_start (new).ipynb").read_text()
    assert any("beside yours" in sentence for sentence in told)


def test_what_a_student_has_under_the_name_of_a_link_stays_theirs(course):
    (course.home / "data").write_text("mine")
    student_server.prepare(course.home, course.lessons, course.root)
    assert (course.home / "data").read_text() == "mine"


def test_the_list_of_fonts_is_copied_once_and_never_over_theirs(course, tmp_path, monkeypatch):
    made = tmp_path / "shared" / "matplotlib" / "fontlist-v1.json"
    made.parent.mkdir(parents=True)
    made.write_text("ours")
    monkeypatch.setenv("MHA_LAB_SHARED", str(tmp_path / "shared"))
    theirs = course.home / ".cache" / "matplotlib" / made.name
    student_server.prepare(course.home, course.lessons, course.root)
    assert theirs.read_text() == "ours"
    theirs.write_text("theirs")
    student_server.prepare(course.home, course.lessons, course.root)
    assert theirs.read_text() == "theirs"


# rules ---------------------------------------------------------------------------------------------------------------


def test_a_kernel_computes_with_one_thread_and_gives_memory_back():
    config = (CLASSROOM / "jupyterhub_config.py").read_text(encoding="utf-8")
    assert "OMP_NUM_THREADS" in config and '"JUPYTER_PREFER_ENV_PATH": "1"' in config
    kernel = json.loads((CLASSROOM / "share" / "kernels" / "python3" / "kernel.json").read_text())
    assert "malloc_trim" in kernel["argv"][-1] and kernel["argv"][0] == "python"


def test_the_hub_image_and_values_are_of_one_jupyterhub():
    pin = re.search(r"^jupyterhub==(\d+\.\d+)", (ROOT / "requirements-hub.txt").read_text(), re.M)[1]
    assert f"JupyterHub {pin}." in (CLASSROOM / "kubernetes" / "values.yaml").read_text().splitlines()[0]
    assert "requirements-hub.txt" in DOCKERFILE and "requirements.txt" in DOCKERFILE


def test_what_the_image_copies_is_there():
    for name in re.findall(r"(?:cp -r|python) (classroom/\S+|/opt/mha-lab/classroom/\S+)", DOCKERFILE):
        assert (ROOT / name.removeprefix("/opt/mha-lab/").removesuffix("/.")).exists(), name


def test_values_give_what_the_image_has():
    server = VALUES["singleuser"]
    assert f'"{server["cmd"][1]}"' in DOCKERFILE
    assert server["defaultUrl"].startswith(f"/lab/tree/{student_server.MINE}/")
    assert (ROOT / "notebooks" / Path(server["defaultUrl"]).name).exists()


def test_a_students_guarantee_and_limit_are_above_what_the_lessons_take():
    measured = json.loads(sizing.MEASURED.read_text())
    server, guarantee, limit = (
        measured["server_mb"],
        *(1000 * float(VALUES["singleuser"]["memory"][name].removesuffix("G")) for name in ("guarantee", "limit")),
    )
    assert max(row["own_mb"] for row in measured["kernels"]) + server < guarantee
    assert max(row["peak_mb"] + row["files_mb"] for row in measured["kernels"]) + server < limit


def test_values_are_filled_up_with_the_charts_defaults_and_a_misspelt_one_is_named(tmp_path):
    (tmp_path / "Chart.yaml").write_text("name: x\nversion: '1'\nappVersion: '5'\n")
    (tmp_path / "values.yaml").write_text("hub: {a: 1, b: 2}\n")
    rules = {
        "type": "object",
        "properties": {
            "hub": {
                "type": "object",
                "required": ["a", "b"],
                "additionalProperties": False,
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            }
        },
    }
    (tmp_path / "values.schema.json").write_text(json.dumps(rules))
    assert check.problems(tmp_path, {"hub": {"b": 3}}) == []
    (sentence,) = check.problems(tmp_path, {"hub": {"bb": 3}})
    assert sentence.startswith("hub: ") and "bb" in sentence


# sizes ---------------------------------------------------------------------------------------------------------------

ROWS = {
    "kernels": [
        {"lesson": "00", "own_mb": 200, "peak_mb": 300, "files_mb": 100, "cpu_s": 4},
        {"lesson": "04", "own_mb": 400, "peak_mb": 900, "files_mb": 100, "cpu_s": 30},
    ],
    "server_mb": 100,
    "hub_mb": 200,
    "arrival_cpu_s": 9,
}


def test_memory_is_what_all_hold_and_what_one_in_ten_takes_at_that_moment():
    need = sizing.needs(30, ROWS)
    assert need["gb"] == pytest.approx((30 * (100 + 400) + 3 * 500 + 100 + 200) / 1000 / sizing.SPARE)
    assert sizing.needs(30, ROWS, ["00"])["gb"] == pytest.approx((30 * 300 + 3 * 100 + 300) / 1000 / sizing.SPARE)


def test_cores_are_those_of_the_arrival_or_of_the_lesson():
    assert sizing.needs(30, ROWS)["cores"] == pytest.approx(30 * 9 / 180 / sizing.BUSY)
    assert sizing.needs(30, {**ROWS, "arrival_cpu_s": 0})["cores"] == pytest.approx(30 * 30 / 2700 / sizing.BUSY)


def test_a_hundred_students_a_machine_are_the_most():
    assert sizing.machines({"cores": 1, "gb": 1}, 301, 64, 1024) == 4


def test_the_table_has_a_row_for_each_class_and_lesson():
    lines = list(sizing.table([30, 3000], ROWS))
    assert len(lines) == 2 + 4 and all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_failure_is_told_in_its_row():
    assert hub_test.told({"failed": "no picture"}) == "FAILED: no picture"
    assert "whole lesson 12 s" in hub_test.told({"page_s": 1, "picture_s": 2, "whole_s": 12})
