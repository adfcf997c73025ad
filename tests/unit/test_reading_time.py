"""The minutes of a lesson: what is counted, and where a sitting and a specialists' section begin and end."""

import nbformat
import pytest
import reading_time

text, code, output = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell, nbformat.v4.new_output


def lesson(*cells):
    card = "# 99 · Title\n\n| Afterwards | Time | Needs |\n|---|---|---|\n| run | {} | nothing |"
    return nbformat.v4.new_notebook(cells=[text(card.format("9 min in 2 sittings")), *cells])


def shown(plain, picture=True):
    return output("display_data", {"text/plain": plain} | ({"image/png": "iVBORw0KGgo="} if picture else {}))


def minutes(*cells):
    """What the cells add to a lesson that has only its card."""
    with_cells, without = (reading_time.sitting_minutes(lesson(*some))[1][1] for some in (cells, ()))
    return with_cells - without


def test_words_are_what_is_read():
    assert reading_time.words("| **two** words |\n|---|---|\n<b class='x'>and</b> — `x[:, 1]`") == 5
    assert minutes(text("word " * 150)) == pytest.approx(1)


def test_code_lines_count_without_comments_and_blanks():
    assert minutes(code("# why\n\na = 1\n    # and\nb = 2  # here")) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("<Figure size 640x480 with 1 Axes>", 0.75),
        ("HeadExplorer(12 sentences, 6 layers × 12 heads)", 5),
        ("LayerMap(self: 12 heads of 32)", 1),
        ("(Controls, for a page with a kernel: run this cell.)", 1),
    ],
)
def test_a_picture_counts_by_what_it_is(plain, expected):
    assert minutes(code("", outputs=[shown(plain)])) == pytest.approx(expected)


def test_an_explorer_without_a_picture_counts_and_a_printed_value_does_not():
    assert minutes(code("", outputs=[shown("TrueOrFalse(0 of 10 answered)", picture=False)])) == 5
    assert minutes(code("", outputs=[shown("tensor(1.)", picture=False)])) == 0


def test_a_prediction_and_an_exercise_count():
    assert minutes(text("**Predict.**")) == pytest.approx(1 / 150 + 2 / 3)
    exercise = reading_time.sections(lesson(text("### Exercise 99.1: a mask (easy, 10 minutes)\n\nWrite it.")))[-1]
    assert exercise.exercises == 13


DIVIDED = lesson(
    text("### Sitting 1 of 2 · 3 minutes\n\n*What is it?*"),
    text("## 1. First\n\n" + "word " * 300 + "\n\n## 2. Only for some"),
    text("*For specialists, 4 minutes: nothing later needs it.*\n\n" + "word " * 600),
    text("**End of sitting 1.** Done."),
    text("### Sitting 2 of 2 · 6 minutes\n\n*So far: it.*"),
    text("## 3. Second\n\n*For specialists, 1 minute: nothing later needs it.*\n\n" + "word " * 150),
    text("## 4. Third\n\n### Exercise 4.1 (easy, 3 minutes)\n\n" + "word " * 300),
    text("**End of sitting 2.** Done."),
    text("## Sources\n\n" + "word " * 1500),
)


def test_sittings_and_specialists_sections_are_told_apart():
    (one, two) = reading_time.sitting_minutes(DIVIDED).values()
    assert one == (3, pytest.approx(6.1, abs=0.3), 0), "a mark in another cell than its heading marks nothing"
    assert two == (6, pytest.approx(6.1, abs=0.3), pytest.approx(3.9))
    ((part),) = reading_time.specialists(DIVIDED)
    assert (part.title, part.for_specialists, round(part.minutes)) == ("3. Second", 1, 1)


def test_a_card_tells_all_that_it_can_tell():
    told = "| run | 85 min in 2 sittings, 30 of them exercises; 12 more for specialists | nothing |"
    notebook = nbformat.v4.new_notebook(cells=[text(told)])
    assert reading_time.card(notebook) == (85, 2, 30, 12)
    assert reading_time.card(lesson()) == (9, 2, 0, 0)
    with pytest.raises(ValueError, match="Time column must read"):
        reading_time.card(nbformat.v4.new_notebook(cells=[text("| run | 85 min, in two sittings | nothing |")]))


def test_the_table_tells_each_sitting(capsys):
    lines = reading_time.table("99", DIVIDED, all_sections=True).splitlines()
    assert [line.split()[:4] for line in lines if "sitting " in line][:2] == [
        ["sitting", "1", "of", "2"],
        ["sitting", "2", "of", "2"],
    ]
    assert any(line.split()[:2] == ["all", "sittings"] and " 9 " in line for line in lines)
    with pytest.raises(SystemExit):
        reading_time.main(["77"])
    assert "no lesson begins with 77" in capsys.readouterr().err
