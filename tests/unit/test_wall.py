"""The wall: thirty made students hand in records, progress files and notebooks; the page counts what they did."""

import json
import re

import make_wall
import nbformat
import pytest
import wall_counts
import wall_records
from wall_records import Student

from mha_lab import checks, progress, widgets
from mha_lab.widgets.true_or_false import STATEMENTS, then_and_now

HOSTILE = "<script>alert('x')</script>"
ASKED, CHOICES = "From 1 head to 16: the parameters of the layer …", ["stay the same", "grow 16 times", "shrink"]


def right(x, num_heads):
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, num_heads, width // num_heads).transpose(1, 2)


def tokens_cut(x, num_heads):
    """A plain view: the classical mistake."""
    batch, tokens, width = x.shape
    return x.reshape(batch, num_heads, tokens, width // num_heads)


def untouched(x, num_heads): ...


def notebook(path, *results):
    outputs = [nbformat.v4.new_output("execute_result", {"text/plain": repr(result)}) for result in results]
    cells = [nbformat.v4.new_code_cell("…", outputs=[output]) for output in outputs]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def records(path, *results, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(result.as_dict() | more) + "\n" for result in results), encoding="utf-8")


@pytest.fixture(scope="module")
def submitted(tmp_path_factory):
    """Thirty students: ten hand in records, ten notebooks, ten progress files.

    split_heads: of the first twenty, five pass at once, five after a mistake, six stop at that mistake, two left the
    stub as it was, two handed in ours; of the last ten, four passed."""
    folder = tmp_path_factory.mktemp("submitted")
    check, task = checks.split_heads, checks.split_heads
    passes, fails, stub, ours = check(right), check(tokens_cut), check(untouched), check(task.solution)
    assert (passes.state, fails.state, stub.state, ours.state) == ("passed", "wrong", "untouched", "ours")
    ways = [[passes]] * 5 + [[fails, fails, passes]] * 5 + [[fails]] * 6 + [[stub]] * 2 + [[ours]] * 2
    for number, results in enumerate(ways):
        student = folder / f"student {number:02} {HOSTILE[:8].replace('/', '')}"
        if number % 2:
            notebook(student / "lesson 02" / "02_multi_head_projection.ipynb", *results)
        else:
            records(student / "results.jsonl", *results)
    with pytest.MonkeyPatch.context() as patch:
        for number in range(20, 30):
            student = folder / f"student {number}"
            patch.setenv("MHA_LAB_HOME", str(student))
            widgets.Guess("02.parameters", ASKED, CHOICES).answer = CHOICES[number % 3 == 0]
            widgets.Guess("04.heads", "16 heads in place of 8. Time × …").answer = "2" if number < 29 else HOSTILE
            if number % 2:
                widgets.reckoning({"02.parameters": "stay the same: 1,048,576"})
            answers = {s.key: s.is_true for s in STATEMENTS}
            widgets.TrueOrFalse().answers = {**answers, STATEMENTS[0].key: number < 23}
            if number < 27:
                widgets.TrueOrFalse(again=True).answers = answers
            if number < 24:
                progress.passed("split_heads")
    return folder


@pytest.fixture(scope="module")
def found(submitted):
    return wall_records.read(submitted)


def words_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index("<body>") :]))


def test_every_student_is_found_once_whatever_was_handed_in(found):
    assert len(found.students) == 30
    assert found.files == {"files of records": 10, "notebooks": 10, "progress files": 10} and found.unread == []


def test_who_passed_stopped_or_wrote_nothing_is_counted_and_everybody_is_in_one_group(found):
    (row,) = make_wall.exercises(found)
    counts = {"passed": 14, "stopped": 6, "untouched": 2, "ours": 2}
    assert {kind: len(getattr(row, kind)) for kind in counts} == counts
    page = words_of(make_wall.page(found))
    assert "30 students" in page and "6 of 20 who tried" in page


def test_a_mistake_has_its_sentence_and_how_many_met_it_and_came_past_it(found):
    (row,) = make_wall.exercises(found)
    (key, who), *others = row.met.items()
    assert (len(who), others) == (11, []), "a mistake that one student met twice is counted once"
    sentence = wall_records.sentence("split_heads", key)
    assert sentence in dict(wall_records.mistakes_of("split_heads")).values()
    page = words_of(make_wall.page(found))
    assert "11 met it, 5 of them passed later" in page
    assert sentence.split(":")[0] in page and "<code>view</code>" in make_wall.page(found)


def test_predictions_are_counted_and_the_right_one_is_marked(found):
    first, second = make_wall.predictions(found)
    assert (first.lesson, first.asked) == ("02", ASKED)
    assert first.said == (("stay the same", 7), ("grow 16 times", 3)) and first.it_was == "stay the same: 1,048,576"
    page = make_wall.page(found)
    assert page.count("class='right'") == 1 and "stay the same" in page.split("class='right'")[1][:40]


def test_what_only_one_person_wrote_is_counted_and_not_shown_unless_it_is_asked_for(found):
    _, typed = make_wall.predictions(found)
    assert typed.said == (("2", 9), (wall_counts.ALONE, 1))
    assert "alert" not in make_wall.page(found) and "alert" in make_wall.page(found, all_words=True)


def test_statements_are_compared_before_and_after_for_those_who_answered_twice(found):
    rows = make_wall.statements(found)
    assert [row[2:] for row in rows] == [((7, 10), (4, 7, 7)), *[((10, 10), (7, 7, 7))] * 9]
    page = words_of(make_wall.page(found))
    assert "7 of 10" in page and "4 of 7" in page and "7 of 7" in page


def test_nobody_is_named_unless_the_lecturer_asks_for_names(found):
    assert "student 1" not in make_wall.page(found)
    assert "student 11" in make_wall.page(found, names=True)


def test_people_are_counts_and_never_percentages(found):
    assert "%" not in words_of(make_wall.page(found, names=True, all_words=True))


def test_the_page_holds_what_it_needs_runs_nothing_and_shows_names_as_text(found):
    page = make_wall.page(found, names=True, all_words=True)
    assert not re.search(r"<script|<img|<link|<iframe|@import|url\(|\ssrc=|\shref=|https?:", page)
    assert "default-src 'none'" in page and "&lt;script&gt;" in page


def test_outputs_of_a_reckoning_and_of_then_and_now_in_a_notebook_are_read_too(tmp_path, monkeypatch):
    monkeypatch.setenv("MHA_LAB_HOME", str(tmp_path / "home"))
    widgets.Guess("02.parameters", ASKED, CHOICES).answer = "shrink"
    widgets.TrueOrFalse().answers = {STATEMENTS[0].key: True}
    notebook(
        tmp_path / "in" / "a" / "02_heads.ipynb",
        widgets.reckoning({"02.parameters": "1", "02.time": "2"}),
        then_and_now(),
    )
    (student,) = wall_records.read(tmp_path / "in").students.values()
    assert student.guesses == {ASKED: ("02", "shrink", "1")}
    assert (student.then, student.now) == ({STATEMENTS[0].key: True}, {})


def test_known_mistakes_have_a_sentence_and_an_unknown_one_its_name():
    for exercise in wall_records.TASKS:
        for key, _ in wall_records.mistakes_of(exercise):
            assert wall_records.sentence(exercise, key).strip(), (exercise, key)
    assert wall_records.sentence("split_heads", "something_new") == "something new"
    assert "arguments" in wall_records.sentence("split_heads", "wrong_arguments")


BROKEN = {
    "a/no.json": "{",
    "b/list.json": "[1, 2]",
    "c/number.json": "7",
    "d/deep.json": "[" * 200_000,
    "e/no.jsonl": '{"exercise": "split_heads"}\n',
    "f/no.ipynb": "",
    "g/other.ipynb": '{"cells": 7}',
    "h/bytes.jsonl": "\udcff",
    "i/guesses.json": '{"passed": {}, "guesses": []}',
    "j/state.jsonl": '{"exercise": ["split_heads"], "state": {}}',
}


def test_a_file_that_is_not_what_its_name_says_is_left_out_counted_and_keeps_nobody_else_out(tmp_path, capsys):
    for name, text in BROKEN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    records(tmp_path / "z" / "right.jsonl", checks.split_heads(right))
    found = wall_records.read(tmp_path)
    assert [name for name, _ in found.unread] == list(BROKEN) and list(found.students) == ["z"]
    page = words_of(make_wall.page(found))
    assert "10 files were not read" in page and "a/no.json" not in page
    assert make_wall.main([str(tmp_path), "--out", str(tmp_path / "wall.html")]) == 0
    assert "a/no.json" in capsys.readouterr().out


def test_links_hidden_folders_and_files_that_are_too_large_are_not_read(tmp_path, monkeypatch):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "in"
    records(elsewhere / "secret.jsonl", checks.split_heads(right))
    records(folder / "s" / ".hidden" / "a.jsonl", checks.split_heads(right))
    (folder / "t").symlink_to(elsewhere)
    (folder / "u.jsonl").symlink_to(elsewhere / "secret.jsonl")
    assert wall_records.read(folder).students == {}
    monkeypatch.setattr(wall_records, "LARGEST", 10)
    found = wall_records.read(elsewhere)
    assert found.students == {} and "more than" in found.unread[0][1]


def test_a_record_that_names_its_student_belongs_to_that_one_and_strange_exercises_are_counted(tmp_path):
    records(tmp_path / "class.jsonl", checks.split_heads(right), student="a")
    with (tmp_path / "class.jsonl").open("a") as file:
        file.write('{"exercise": "split_heads", "state": "wrong", "mistake": null, "student": "b"}\n')
        file.write('{"exercise": "from_another_course", "state": "wrong"}\n')
    found = wall_records.read(tmp_path)
    assert list(found.students) == ["a", "b"] and found.strange == 1
    assert "1 result is of no exercise" in make_wall.page(found)


def test_an_empty_folder_makes_a_page_that_says_so_and_none_is_answered_in_a_sentence(tmp_path, capsys):
    assert make_wall.main([str(tmp_path), "--out", str(tmp_path / "wall.html")]) == 0
    assert "Nobody has handed in anything yet." in (tmp_path / "wall.html").read_text(encoding="utf-8")
    assert make_wall.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "x.html")]) == 1
    assert "is no folder." in capsys.readouterr().err


@pytest.mark.parametrize(
    "said, it_was, right",
    [
        ("about a third", "about a third: .333", True),
        ("double", "double", True),
        ("1", "16", False),
        ("1", "1.1", False),
        ("suitcase", "suitcase, as before", True),
        ("stay", "stays as it is", False),
        ("2", "about 2", False),
    ],
)
def test_an_answer_is_marked_where_what_it_was_begins_with_it(said, it_was, right):
    assert make_wall.said_what_it_was(said, it_was) is right


def test_nobody_who_handed_in_nothing_is_a_student():
    assert not Student()
