"""Slides, before any browser: how a lesson's cells are packed, and what stands on the teacher's page."""

import re

import make_slides
import nbformat
import pytest
import slide_notes
import slide_packing
import slide_parts

from mha_lab import checks

code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
CARD = """# 99 · A lesson
*Is it so?*

| After this lesson you can | Time | You need |
|---|---|---|
| • do one thing<br>• do another | 10 min | nothing |"""
PLAN = """# 99

**Before class.** Open the [explorer](../../notebooks/99_x.ipynb#1.-One).

## In 45 minutes

| minutes | step | what you do |
|--:|---|---|
| 40 | [2. Two](../../notebooks/99_x.ipynb#2.-Two) | Vote: “How many?” |
| 5 | Exit question | On paper. |

## What to ask
- Why not three?

## Three misconceptions
1. **"It is one."** It is two. Show: [2. Two](../../notebooks/99_x.ipynb#2.-Two), the cell with `b = 2`.

## Exit question
How many are there?

<details><summary>Answer</summary>

Two.

</details>"""


def printed(source, says, hidden=False):
    cell = code(source, outputs=[nbformat.v4.new_output("stream", text=says)])
    if hidden:
        cell.metadata.jupyter = {"outputs_hidden": True}
    return cell


def slides(*cells, plan="", minutes=None):
    notebook = nbformat.v4.new_notebook(cells=[text(CARD), *cells])
    return make_slides.slides_of(notebook, slide_notes.Plan(plan), minutes)


def shown(slide):
    return " ".join(slide_parts.plain(part.html) for part in slide.parts)


def test_the_first_slide_has_the_lessons_name_its_question_and_its_goals():
    first = slides()[0]
    assert first.title == "99 · A lesson"
    assert all(words in shown(first) for words in ("Is it so?", "do one thing", "do another"))


def test_a_section_an_exercise_and_a_fold_begin_a_slide():
    fold = "<details><summary>What happened?</summary>\n\nThis.\n\n</details>"
    found = slides(
        text("## 1. One\n\nWords."), text(f"More.\n\n### Exercise 9.1 · f  (★☆☆, 5 minutes)\n\nTask.\n\n{fold}")
    )
    titles = [slide_parts.plain(slide.title) for slide in found[1:]]
    assert titles == ["1. One", "Exercise 9.1 · f  (★☆☆, 5 minutes)", "What happened?"]


def test_code_stands_with_what_it_prints_and_an_answer_comes_with_a_key_of_its_own():
    found = slides(text("## 1. One"), printed("print(6 * 7)", "42\n", hidden=True))
    question, answer = found[1].parts
    assert (question.kind, question.hidden, answer.hidden) == ("code", False, True)


def test_what_a_fold_holds_is_on_the_teachers_page_of_the_slide_before():
    fold = "<details><summary>What happened?</summary>\n\nIt is forty-two.\n\n</details>"
    found = slides(text("## 1. One\n\n**Predict.** How many?"), printed("print(42)", "42", hidden=True), text(fold))
    assert "forty-two" in "".join(found[1].notes) and "forty-two" not in shown(found[1])
    assert found[2].title == "What happened?" and found[2].parts[0].hidden


def test_a_question_stands_once_more_above_an_answer_that_has_a_slide_of_its_own():
    long = "\n".join(f"line_{i} = {i}" for i in range(15))
    found = slides(text("## 1. One\n\n**Predict.** How many?"), code(long), printed("print(42)", "42", hidden=True))
    assert [part.kind for part in found[2].parts] == ["asked", "code", "output"]
    assert "How many?" in shown(found[2])


def test_words_that_end_in_a_colon_go_with_what_follows():
    found = slides(text("## 1. One\n\n" + "word " * 60 + "\n\nThree things:\n\n- a " + "long " * 50))
    assert "Three things:" not in shown(found[1]) and shown(found[2]).startswith("Three things:")


def test_nothing_that_is_packed_is_taller_than_a_slide():
    words = "\n\n".join("word " * count for count in (10, 80, 120, 30))
    lines = "\n".join(f"number_{i} = {i}" for i in range(19))
    rows = "| a | b |\n|---|---|\n" + "\n".join(f"| {i} | what it is |" for i in range(40))
    cells = text(f"## 1. One\n\n{words}\n\n{rows}"), printed(lines, "\n".join(map(str, range(70))))
    assert all(slide.used <= slide_parts.HEIGHT for slide in slides(*cells))


def test_every_line_that_was_printed_and_every_row_is_on_some_slide():
    rows = "| a | b |\n|---|---|\n" + "\n".join(f"| row{i} | what it is |" for i in range(40))
    found = " ".join(
        map(shown, slides(text(f"## 1\n\n{rows}"), printed("f()", "\n".join(f"line{i}" for i in range(70)))))
    )
    assert all(re.search(rf"\brow{i}\b", found) for i in range(40))
    assert all(re.search(rf"\bline{i}\b", found) for i in range(70))


@pytest.mark.parametrize(
    "source, with_output, left",
    [
        ("import torch\n\nx = 1", False, "x = 1"),
        ("import torch\nfrom a import b", False, ""),
        ("x = f()\nassert x > 1", True, "x = f()"),
        ("assert x > 1", False, "assert x > 1"),
        ("def draw(x):\n    plots.curves(x)\n\nfeatures = 3", False, "features = 3"),
        ("print(x)\n\ndef rule(n):\n    return n\n\nassert x == rule(3)", True, "print(x)"),
        ("def used(n):\n    return n\n\nprint(used(3))", True, "def used(n):\n    return n\n\nprint(used(3))"),
        ("%matplotlib inline", False, "%matplotlib inline"),
    ],
)
def test_slides_show_code_without_what_only_serves_it(source, with_output, left):
    assert slide_parts.shown_code(source, with_output) == left


def test_a_tag_leaves_a_cell_out_and_a_tag_begins_a_slide_with_it():
    left_out, begins = text("Nobody sees this."), text("A new slide.")
    left_out.metadata.tags, begins.metadata.tags = ["slides-skip"], ["slides-break"]
    found = slides(text("## 1. One\n\nWords."), left_out, begins)
    assert "Nobody" not in " ".join(map(shown, found))
    assert [shown(slide) for slide in found[1:]] == ["Words.", "A new slide."]


def test_a_check_becomes_hints_solution_and_mistakes_on_the_exercises_teachers_page():
    card = nbformat.v4.new_output("execute_result", {"text/plain": "○ split_heads: not attempted yet"})
    found = slides(
        text("### Exercise 2.1 · split_heads  (★☆☆, 10 minutes)\n\nWrite it."),
        code("def split_heads(x, num_heads):\n    ..."),
        code("checks.split_heads(split_heads)", outputs=[card]),
    )
    (slide,) = found[1:]
    told = slide_parts.plain("".join(slide.notes))
    assert "not attempted" not in shown(slide) and "Write it." in shown(slide)
    task = checks.split_heads
    for words in (task.hint, task.second_hint, task.source, task.mistakes[0][1]):
        assert slide_parts.plain(words) in told


def test_the_plan_is_on_the_teachers_page_where_it_is_needed():
    cells = text("## 1. One\n\nWords."), text("## 2. Two\n\nWords."), code("b = 2")
    first, one, two, leaves = slides(*cells, plan=PLAN)
    assert "Why not three?" in first.notes[0] and "Open the explorer." in slide_parts.plain(first.notes[0])
    assert one.notes == [""]
    assert "40 of 45 minutes." in two.notes[0] and "How many?" in two.notes[0] and "It is one." in two.notes[1]
    assert leaves.title == "Exit question" and [part.hidden for part in leaves.parts] == [False, True]


def test_a_plan_of_so_many_minutes_chooses_its_sections():
    cells = text("## 1. One\n\nWords."), text("## 2. Two\n\nWords.")
    found = slides(*cells, plan=PLAN, minutes=45)
    assert [slide.title for slide in found] == ["99 · A lesson", "2. Two", "Exit question"]
    with pytest.raises(ValueError, match="there is no plan of 90 minutes for this lesson in docs/teaching"):
        slides(*cells, plan=PLAN, minutes=90)


def test_a_plan_of_so_many_minutes_leaves_for_home_what_it_does_not_name_and_has_no_sittings():
    stubs = [code("def f(x):\n    ...") for _ in range(2)]
    ends = text("**End of sitting 1.** You can now say it.")
    tasks = [
        text("### Exercise 9.1 · f  (★☆☆, 5 minutes)\n\nTask."),
        stubs[0],
        text("### Exercise 9.2 · g\n\nTask."),
        stubs[1],
        ends,
    ]
    found = slides(
        text("## 2. Two\n\nWords."), *tasks, plan=PLAN.replace("“How many?”", "“How many?” Exercise 9.2"), minutes=45
    )
    assert [slide_parts.plain(slide.title) for slide in found[1:]] == ["2. Two", "Exercise 9.2 · g", "Exit question"]
    assert "End of sitting" not in " ".join(map(shown, found))


def test_the_teacher_has_the_plan_on_every_slide_of_a_section_and_reads_how_the_next_one_begins():
    told = "One two three four five six seven eight nine ten. " * 12
    found = slides(text(f"## 2. Two\n\n{told}\n\n{told}"), plan=PLAN)[1:-1]
    assert len(found) > 1 and all("40 of 45 minutes." in slide.notes[0] for slide in found)
    assert make_slides.first_words(found[1]) == "One two three four five six seven eight nine …"


def test_students_slides_have_no_teachers_page():
    fold = "<details><summary>What happened?</summary>\n\nForty-two.\n\n</details>"
    cells = [text(CARD), text(f"## 1. One\n\n{fold}")]
    pages = [
        make_slides.page_of(nbformat.v4.new_notebook(cells=[cell.copy() for cell in cells]), students=students)
        for students in (False, True)
    ]
    assert ['<aside class="notes">' in page for page in pages] == [True, False]


def test_no_heading_stands_alone_and_none_with_a_line_that_says_little():
    lines = "\n".join(f"line_{i} = {i}" for i in range(14))
    shows = [printed(lines, "\n".join(map(str, range(14)))) for _ in range(2)]
    found = slides(text("## 1. One\n\nHere they are:"), shows[0], text("## 2. Two\n\n*For specialists.*"), shows[1])
    assert [slide.title for slide in found if slide.title and not slide.parts] == []
    assert [part.kind for part in found[-2].parts] == ["text", "code"] and found[-2].title == "2. Two"


def test_a_few_words_that_close_a_section_stand_below_what_they_close_and_are_not_said_before_it():
    found = slides(
        text("## 1. One"), printed("f()", "7", hidden=True), text("So it is seven."), text("## 2. Two\n\nWords.")
    )
    assert [(part.kind, part.hidden) for part in found[1].parts] == [("code", False), ("output", True), ("text", True)]
    assert [slide.title for slide in found[1:]] == ["1. One", "2. Two"]


def test_what_a_question_asks_is_not_answered_on_its_slide_before_a_key():
    found = slides(
        text("## 1. One\n\nHow much had it held?"), printed("print(42)", "42"), text("Said."), printed("f()", "7")
    )
    assert [part.hidden for slide in found[1:] for part in slide.parts if part.kind == "output"] == [True, False]


def test_a_slide_that_would_be_empty_before_its_answer_shows_it():
    long, more = ("\n".join(f"line_{i} = {i}" for i in range(count)) for count in (19, 20))
    found = slides(text("## 1. One\n\nHow many?"), printed(long, more))
    assert any(slide.parts[0].kind == "output" for slide in found[1:])
    assert [slide for slide in found[1:] if not slide.title and all(part.hidden for part in slide.parts)] == []


def test_printed_lines_that_are_long_wrap_and_are_not_made_small():
    (part,) = slide_parts._printed("word " * 60, hidden=False)
    assert f"{slide_parts.LEAST_LETTERS:.1f}px" in part.html and part.height > 3 * slide_parts.LEAST_LETTERS


def test_a_long_table_is_cut_into_pieces_of_about_the_same_length():
    rows = "".join(f"<tr><td>{i}</td><td>{'word ' * 20}</td></tr>" for i in range(14))
    html = f"<table><tr><th>a</th><th>b</th></tr>{rows}</table>"
    counts = [part.html.count("<tr>") - 1 for part in slide_parts._table(html, hidden=False)]
    assert sum(counts) == 14 and max(counts) - min(counts) <= 1


def test_a_call_that_draws_says_on_a_slide_what_it_draws_and_not_how():
    long = 'x = 1\nplots.curves(x, {"a": x},\n             title="long",\n             log="xy");'
    short = 'plots.curves(x, title="short")'
    assert slide_parts.shown_code(long, True, drawn=True) == 'x = 1\nplots.curves(x, {"a": x}, ...)'
    assert slide_parts.shown_code(short, True, drawn=True) == short and "log" in slide_parts.shown_code(long, True)


def test_a_link_leads_to_its_slide_or_is_none():
    cells = text("## 1. One\n\nGo on to [Two](#2.-Two), or to [Nowhere](#Nowhere)."), text("## 2. Two\n\nWords.")
    page = make_slides.page_of(nbformat.v4.new_notebook(cells=[text(CARD), *cells]))
    assert '<section id="2.-Two"' in page and '<a href="#/2.-Two">Two</a>, or to Nowhere.' in page


def test_words_of_an_explorer_lead_back_to_it():
    def shown_by(part):
        return slide_packing.Slide("", parts=[slide_parts.Part("explorer", f'<img alt="{part}(">')])

    text_of = [slide_parts.Part("text", f"Try it in {words}.") for words in ("the explorer", "the explorer at the top")]
    found = [shown_by("Heads"), shown_by("Cost"), shown_by("Guess"), slide_packing.Slide("", parts=text_of)]
    assert make_slides.link(found) == ["explorer-1", "explorer-2", "", ""]
    assert [re.search('href="(.*?)"', part.html)[1] for part in text_of] == ["#/explorer-2", "#/explorer-1"]


def test_the_last_slide_names_the_licence_of_all():
    page = make_slides.page_of(nbformat.v4.new_notebook(cells=[text(CARD), text("## 1. One\n\nWords.")]))
    assert page.index("CC BY 4.0, The Multi-Head Attention Lab authors") > page.rindex("data-title")


def test_a_figure_grows_into_the_room_that_is_left_and_not_beyond():
    part = slide_parts.Part("figure", "<img >", size=(600, 200))
    slide = slide_packing.Slide("", parts=[part])
    slide_packing.enlarge([slide])
    assert part.size == (600 * slide_packing.LARGEST, 200 * slide_packing.LARGEST)
    tall = slide_parts.Part("figure", "<img >", size=(600, 900))
    slide_packing.enlarge([slide := slide_packing.Slide("", "A title", parts=[tall])])
    assert slide.used <= slide_parts.HEIGHT and tall.size[1] > 500


@pytest.mark.parametrize("path", sorted(slide_notes.PLANS.glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_every_step_of_a_plan_that_names_a_section_finds_its_slides(path):
    lesson = nbformat.read(make_slides.LESSONS / f"{path.stem}.ipynb", as_version=4)
    titles = [
        title
        for cell in lesson.cells
        if cell.cell_type == "markdown"
        for title in re.findall(r"^##+ (.*)", cell.source, re.M)
    ]
    plan = slide_notes.Plan.of(path.stem)
    for minutes in 45, 90:
        steps = [step for step in plan.sections(minutes) if re.match(r"\d", step)]
        assert steps and [step for step in steps if not any(slide_notes.same(step, title) for title in titles)] == []
    assert len(list(plan.misconceptions())) == 3 and plan.exit_question()
