"""Handouts: what they say where nothing runs, where their answers stand, and how they find each other."""

import re
from html import unescape
from urllib.parse import unquote

import handout_answers
import handout_index
import handout_words
import make_handouts
import nbformat
import pytest
from run_notebooks import LESSONS

from mha_lab import checks
from mha_lab.widgets import TrueOrFalse, reckoning
from mha_lab.widgets.true_or_false import then_and_now

PATHS = sorted(LESSONS.glob("*.ipynb"))
RUNS = re.compile(
    r"shift\s*\+\s*enter|\bpress enter|(?-i:\bRun it\b)|\b(?:re-?)?run (?:again|what follows|everything|the check\b)"
    r"|\b(?:re-?)?run (?:the|this|that|each|every|all)(?: \w+)? cells?\b|\bcells? (?:below|above) and run",
    re.I,
)
code, prose = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def shown(thing):
    """An output as a kernel gives it."""
    return nbformat.v4.new_output("execute_result", {"text/html": thing._repr_html_(), "text/plain": repr(thing)})


def handout(*cells, **options):
    return make_handouts.handout(nbformat.v4.new_notebook(cells=[prose("# 99 · A lesson"), *cells]), **options)


def hidden(text):
    cell = code("1", outputs=[nbformat.v4.new_output("execute_result", {"text/plain": text})])
    cell.metadata.jupyter = {"outputs_hidden": True}
    return cell


def words_of(page):
    """What a reader sees of a page: no data of explorers, no rules, no tags."""
    body = page[page.index("<main>") : page.index("</main>")]
    return re.sub(r"<[^>]+>", " ", re.sub(r"<pre.*?</pre>", "", body, flags=re.S))


@pytest.fixture(scope="module")
def pages():
    """Every lesson, as it is stored, as a handout."""
    return {path.stem: make_handouts.handout(nbformat.read(path, 4), path.stem) for path in PATHS}


def test_no_handout_asks_its_reader_to_run_something(pages):
    found = {name: RUNS.findall(words_of(page)) for name, page in pages.items()}
    assert {name: words for name, words in found.items() if words} == {}
    assert RUNS.search("Press Shift+Enter.") and RUNS.search("Run this cell") and RUNS.search("run the cells first")


def test_every_sentence_that_a_handout_rewords_is_still_in_a_lesson():
    texts = [path.read_text(encoding="utf-8") for path in PATHS] + [repr(TrueOrFalse()._repr_mimebundle_())]
    said = " ".join(" ".join(texts).replace('\\"', '"').replace("\\n", " ").replace('", "', " ").split())
    said = re.sub(r' "\s*,?\s*"', " ", said)
    assert [words for words in handout_words.INSTEAD if " ".join(words.split()) not in said] == []


def test_a_sentence_is_reworded_however_its_lines_are_broken():
    words, instead = next(iter(handout_words.INSTEAD.items()))
    assert handout_words.reworded(f"a {words.replace(' ', chr(10))} b") == f"a {instead} b"
    assert handout_words.reworded("Nothing of the kind.") == "Nothing of the kind."


def test_an_exercise_that_nobody_tried_offers_its_hints_and_our_solution_and_not_a_card_to_run():
    page = handout(code("checks.split_heads(split_heads)", outputs=[shown(checks.split_heads(stub))]))
    assert "not attempted yet" not in page and "that cell" not in page
    task = checks.split_heads
    for words in (task.hint.split("`")[0][:30], "A second hint", "Solution", "def split_heads"):
        assert words.replace("'", "&#x27;") in page, words
    assert "★" in page


def stub(x, num_heads): ...


def right(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def test_a_result_of_somebody_who_tried_stays_as_it_is():
    page = handout(code("1", outputs=[shown(checks.split_heads(right))]))
    assert "passes on" in page


def test_a_reckoning_says_what_it_was_and_nothing_of_guesses_that_no_reader_made():
    table = reckoning({"02.parameters": "stay the same", "02.time": "< twice"})
    page = handout(code("widgets.reckoning({})", outputs=[shown(table)]))
    assert "no guess yet" not in page and "you said" not in page
    (fold,) = re.findall(r'<details class="answer">.*?</details>', page, re.S)
    assert "stay the same" in fold and "&lt; twice" in fold and handout_words.IT_WAS in fold


def test_then_and_now_says_what_it_was_and_nothing_of_answers_that_no_reader_gave():
    page = handout(code("widgets.then_and_now()", outputs=[shown(then_and_now())]))
    assert "no answer" not in page and "Right then" not in page
    (fold,) = re.findall(r'<details class="answer">.*?</details>', page, re.S)
    assert fold.count("<tr>") == 11 and "settled in lesson" in fold


def test_a_map_of_nobodys_progress_is_left_out():
    page = handout(code("checks.progress()", outputs=[shown(checks.progress())]))
    assert "exercises passed" not in page and "progress" not in words_of(page)


ANSWERS = (
    prose("## 1. Halves\n\n**Predict.** What is half of 84?"),
    hidden("42"),
    prose("<details><summary>What happened?</summary>\n\nIt is halved.\n\n</details>\n\nNow a third."),
    prose("## 2. Thirds\n\nAloud.\n\n<details><summary>Five sentences</summary>\n\nA third is less.\n\n</details>"),
)


def the_end(page):
    return page[page.index('<section class="on-paper answers">') : page.index("</section>")]


def test_answers_stand_at_the_end_with_their_section_and_their_question_and_in_their_order():
    page = handout(*ANSWERS)
    end = the_end(page)
    assert re.findall(r"<h3[^>]*>(.*?)</h3>", end) == ["1 · 1. Halves", "2 · 2. Thirds"]
    for earlier, later in zip(found := ["half of 84", "42", "It is halved", "2. Thirds", "A third is less"], found[1:]):
        assert end.index(earlier) < end.index(later)
    assert "<details" not in end and "Now a third" not in end


def test_an_output_and_what_is_said_of_it_are_one_answer_and_each_place_names_its_number_once():
    page = handout(*ANSWERS)
    assert re.findall(r'href="#(answer-\d)"', page) == ["answer-1", "answer-2"]
    assert re.findall(r'id="(answer-\d)"', page) == ["answer-1", "answer-2"]


def test_answers_can_be_printed_in_their_place():
    page = handout(*ANSWERS, answers="place")
    assert "at the end" not in words_of(page) and page.count("It is halved") == 1


def test_answers_can_be_left_out_and_hints_stay_without_the_solution():
    exercise = code("checks.split_heads(split_heads)", outputs=[shown(checks.split_heads(stub))])
    page = handout(*ANSWERS, exercise, answers="none")
    words = words_of(page)
    assert not any(answer in words for answer in ("42", "It is halved", "A third is less"))
    assert (
        "def split_heads" not in page
        and "Now a third." in words
        and "A second hint" in words
        and "Solution" not in words
    )
    assert words.count("The answer is in the lesson.") == 2


def test_a_fold_within_a_fold_belongs_to_it_and_one_that_never_ends_is_left_alone():
    body = "<details><summary>a</summary>1<details>2</details>3</details> x <details><summary>b</summary>4"
    (fold,) = handout_answers.folds(body)
    assert (fold.summary, fold.inside) == ("a", "1<details>2</details>3")
    assert handout_answers.folds("</details>") == []


def test_the_explorer_of_an_answer_is_a_picture_at_the_end_and_alive_in_its_place():
    host = '<details class="answer"><summary>s</summary><div class="mha-host" data-model="7"><p id="x">still</p></div>'
    page = handout_answers.placed(f"<h2>A</h2>{host}</details>")
    assert page.count('data-model="7"') == 1 and page.count("still") == 2 and page.count('id="x"') == 1


def test_a_title_is_a_string_of_css_whatever_it_holds():
    style = make_handouts.style('</style> "a" \\ {b}')
    assert "</style>" not in style
    line = next(line for line in style.splitlines() if "@top-left" in line and "counter" not in line)
    assert re.search(r'content: "(?:[^"\\]|\\[0-9a-f]+ )*";', line)


def test_lines_that_lead_to_the_next_lesson_are_named_for_paper_leaves_them_out():
    ways = "[← 01 One](01_one.ipynb) · [03 Three →](03_three.ipynb)"
    page = handout(prose(f"Read [02](02_two.ipynb) again.\n\n{ways}"), prose(ways), prose("[01 One →](01_one.ipynb)"))
    assert page.count('<p class="way">') == 3 and "<p>Read " in page


# the folder ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handouts")
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    handout_index.write(folder, make_handouts.style)
    return folder


def test_every_link_within_the_folder_finds_its_page_and_its_section(folder):
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    named = {name: {re.sub("&quot;", '"', found) for found in re.findall(r'\sid="([^"]*)"', page)} | {""}
             for name, page in pages.items()}  # fmt: skip
    lost = []
    for name, page in pages.items():
        body = page[page.index("<main>") : page.index("</main>")]
        for link in re.findall(r'<a\b[^>]*href="([^"]*)"', body):
            if re.match(r"https?:|mailto:", link):
                continue
            target, _, section = unescape(link).partition("#")
            section = unquote(section)
            ids = {unescape(each) for each in named.get(target or name, set())}
            if (target or name) not in pages or section not in ids:
                lost.append((name, link))
    assert lost == []


def test_the_index_has_every_lesson_with_its_question_and_its_time(folder):
    index = (folder / "index.html").read_text(encoding="utf-8")
    for path in PATHS:
        assert f'href="{path.stem}.html"' in index, path.stem
    row = re.search(r"<tr><td>[^/]*00_start_here.*?</tr>", index)[0]
    assert "00 · Start here" in row and "look at?" in row and "65 min" in row
    assert index.count("<tr>") == 1 + sum(path.name[:2].isdigit() for path in PATHS)


def test_the_index_names_only_what_is_in_the_folder(tmp_path):
    (tmp_path / "01_single_head_attention.html").write_text("")
    (tmp_path / "01_single_head_attention.pdf").write_text("")
    handout_index.write(tmp_path, make_handouts.style)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    body = index[index.index("<main>") : index.index("</main>")]
    assert re.findall(r'href="([^"]*)"', body) == ["01_single_head_attention.html", "01_single_head_attention.pdf"]
