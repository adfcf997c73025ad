"""The plans for teachers keep up with the lessons, and what says how the project may be used agrees with itself."""

import re
import tomllib
from datetime import date
from functools import cache
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml

from mha_lab import widgets
from mha_lab.checks import course

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "docs" / "teaching"
LESSONS = {number: Path(file).stem for number, (_, file) in course.LESSONS.items()}
NO_STEP = {"Opening", "Break", "Exit question"}  # rows that belong to no section
ORDER = ["In 45 minutes", "In 90 minutes", "What may be cut", "At home", "What to ask", "Three misconceptions"]
DOCUMENTS = [*PLANS.glob("*.md"), ROOT / "CHANGELOG.md", ROOT / "LICENSE-text.md"]
LINK = r"\[([^\]]+)\]\(([^)\s]+)\)"


@pytest.fixture(params=LESSONS, ids=str)
def number(request):
    return request.param


def read(path):
    return path.read_text(encoding="utf-8")


def plan(number):
    return read(PLANS / f"{LESSONS[number]}.md")


def parts(text):
    """{heading: text below it} of a page's second level."""
    found = re.split(r"^## (.+)\n", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


def rows(table):
    """(minutes, step, what to do) of each row."""
    cells = re.findall(r"^\| (\d+) \| (.*?) \|(.*)\|$", table, re.M)
    return [(int(minutes), step, doing.strip()) for minutes, step, doing in cells]


@cache
def notebook(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def headings(cell):
    return re.findall(r"^#{2,3} (.+)$", cell.source, re.M) if cell.cell_type == "markdown" else []


def by_section(lesson):
    """{heading: its cells}, of "## …" with what stands below its own "### …"."""
    found, titles = {}, []
    for cell in lesson.cells:
        for heading in headings(cell):
            deeper = f"### {heading}" in cell.source.splitlines()
            titles = [*titles[:1], heading] if deeper else [heading]
            found.setdefault(heading, []).append(cell)
        for title in titles:
            found[title] += [cell] if found[title][-1:] != [cell] else []
    return found


def plain(text):
    """Words without their marks; a string that goes on in the next line is one."""
    text = re.sub(r'"\s*\n\s*"', "", text)
    return " ".join(re.sub(r"[*`]|</?(?:details|summary)>", "", re.sub(r"<sup>(.+?)</sup>", r"^\1", text)).split())


def quoted(text):
    """What stands between “ and ”; a quotation may hold another one."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter == "“":
            start, depth = (start, depth + 1) if depth else (at + 1, 1)
        elif letter == "”":
            depth -= 1
            found += [text[start:at]] if not depth else []
    assert depth == 0, f"“ without ” in: {text}"
    return found


def shown(output):
    return output.get("data", {}).get("text/plain", "")


# the plans -----------------------------------------------------------------------------------------------------------


def test_each_lesson_has_a_plan_and_each_plan_a_lesson():
    assert {path.stem for path in PLANS.glob("*.md")} == {*LESSONS.values(), "README"}


def test_a_plan_has_its_parts_in_their_order(number):
    assert list(parts(plan(number))) == [*ORDER, "Exit question"]


def test_a_plan_says_what_its_lesson_says_of_itself(number):
    title, question = re.match(r"# (.+)\n\n\*(.+)\* \[The lesson\]\(\S+\) · ", plan(number)).groups()
    card = notebook(LESSONS[number]).cells[0].source
    assert f"# {title}\n" in card and f"*{question}*" in card


@pytest.mark.parametrize("minutes", [45, 90])
def test_the_minutes_of_a_plan_add_up(number, minutes):
    steps = rows(parts(plan(number))[f"In {minutes} minutes"])
    assert steps and abs(sum(each for each, *_ in steps) - minutes) <= 2
    assert max(each for each, *_ in steps) <= 28, "a step that long is several"


def test_a_step_is_a_section_of_its_own_lesson(number):
    here, sections = f"../../notebooks/{LESSONS[number]}.ipynb#", by_section(notebook(LESSONS[number]))
    page = parts(plan(number))
    for _, step, _ in rows(page["In 45 minutes"]) + rows(page["In 90 minutes"]):
        found = re.fullmatch(LINK, step)
        assert step in NO_STEP or (found and found[2].startswith(here) and found[1] in sections), step


def test_the_short_plan_is_a_way_through_the_lesson_and_ends_with_the_question(number):
    page = parts(plan(number))
    titles = [heading for heading in by_section(notebook(LESSONS[number])) if heading]
    for minutes in 45, 90:
        steps = [step for _, step, _ in rows(page[f"In {minutes} minutes"])]
        places = [titles.index(re.match(LINK, step)[1]) for step in steps if step not in NO_STEP]
        assert places == sorted(places) and steps[-1] == "Exit question"


def test_what_is_voted_on_is_a_prediction_of_the_lesson(number):
    cells = [plain(cell.source) for cell in notebook(LESSONS[number]).cells]
    asks = [text for text in cells if "Predict" in text or "Guess(" in text]
    page = parts(plan(number))
    votes = [q for _, _, doing in rows(page["In 45 minutes"] + page["In 90 minutes"]) for q in quoted(doing)]
    assert len(votes) >= 3
    assert [vote for vote in votes if not any(plain(vote).removesuffix(" …") in text for text in asks)] == []


def test_the_choices_of_a_vote_are_those_of_the_lesson(number):
    outputs = [output for cell in notebook(LESSONS[number]).cells for output in cell.get("outputs", [])]
    offered = re.findall(r"^Guess\(.*? \[(.*)\], no guess yet\)$", "\n".join(map(shown, outputs)), re.M)
    told = re.findall(r"” \(\*(.+?)\*\)", plan(number))
    assert told and set(told) <= set(offered)


def test_each_exercise_of_the_lesson_has_its_place_in_class_or_at_home(number):
    def exercises(text):
        return set(re.findall(r"Exercise (\d+b?\.\d+)", text))

    text = "\n".join(cell.source for cell in notebook(LESSONS[number]).cells)
    assert exercises(plan(number)) == set(re.findall(r"^### Exercise (\S+)", text, re.M))


def test_a_plan_has_three_misconceptions_each_with_the_cell_that_shows_it(number):
    sections = by_section(notebook(LESSONS[number]))
    items = re.findall(r"^(\d)\. (.+)$", parts(plan(number))["Three misconceptions"], re.M)
    assert [place for place, _ in items] == ["1", "2", "3"]
    for _, item in items:
        said, settles, title, snippet = re.fullmatch(
            r"\*\*\"(.+?)\"\*\* (.+) Show: \[(.+?)\]\(\S+\), the cell with `(.+)`\.", item
        ).groups()
        assert said and settles
        code = [cell.source for cell in sections[title] if cell.cell_type == "code"]
        assert any(snippet in source for source in code), f"{title} has no cell with {snippet}"


def test_a_plan_has_one_exit_question_with_its_answer_behind_a_fold(number):
    question, answer = re.fullmatch(
        r"\s*(.+?)\n\n<details><summary>Answer</summary>\n\n(.+?)\n\n</details>\s*",
        parts(plan(number))["Exit question"],
        re.S,
    ).groups()
    assert question and "\n" not in question and "\n" not in answer


# links ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(path):
    dead = []
    for _, link in re.findall(LINK, read(path)):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            dead.append(link)
        elif anchor and target.suffix == ".ipynb":
            known = {h.replace(" ", "-") for cell in notebook(target.stem).cells for h in headings(cell)}
            dead += [link] if unquote(anchor) not in known else []
        elif anchor:
            known = {
                re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-")
                for h in re.findall("^#+ (.+)$", read(target), re.M)
            }
            dead += [link] if anchor not in known else []
    assert dead == []


# the accessibility statement -----------------------------------------------------------------------------------------

SOURCES = {name: getattr(widgets, name).__module__.rpartition(".")[2] for name in widgets.__all__}


def said(beginning):
    """The explorers that the statement's line with this beginning names."""
    line = re.search(rf"^- {beginning}(?:.|\n(?!- |\n))*", parts(read(PLANS / "README.md"))["Accessibility"], re.M)[0]
    return {name for name in SOURCES if re.search(rf"\b{name}\b", line)}


def test_the_statement_names_the_explorers_whose_forced_colours_are_tested_and_all_others():
    pages = {name: (ROOT / "tests" / "browser").glob(f"test_{source}*.py") for name, source in SOURCES.items()}
    tested = {name for name, files in pages.items() if any("forced" in read(file) for file in files)}
    assert said(r"\*\*Forced colours") == tested
    assert said("AttentionStepper, HeadExplorer") == set(SOURCES) - tested


def test_the_statement_names_the_explorers_that_have_a_table():
    rooms = {name: (ROOT / "frontend" / "src" / source).glob("*.js") for name, source in SOURCES.items()}
    tabled = {name for name, files in rooms.items() if any("disclosure(" in read(file) for file in files)}
    assert said(r"\*\*Screen readers") == tabled | {"ModelTable"}


# the courses ---------------------------------------------------------------------------------------------------------


def test_the_overview_links_to_each_plan_under_its_title():
    listed = re.findall(r"^\| \[(\w+)\]\((\S+)\.md\) \| (.+?) \|", read(PLANS / "README.md"), re.M)
    assert listed == [(number, stem, course.LESSONS[number][0]) for number, stem in LESSONS.items()]


def test_the_four_weeks_hold_every_lesson_once_in_its_order():
    weeks = re.findall(r"^\| (\d) \| \d+ \| (.+?) \|", parts(read(PLANS / "README.md"))["Four weeks"], re.M)
    taught = [number for _, cell in weeks for number in re.findall(r"\[(\w+)\]", cell)]
    assert taught == list(LESSONS)
    assert [week for week, _ in groupby(week for week, _ in weeks)] == ["1", "2", "3", "4"]


def test_the_homework_of_four_weeks_is_of_the_lessons_just_taught():
    meetings = re.findall(r"^\| \d \| \d+ \| (.+?) \| (.+) \|$", parts(read(PLANS / "README.md"))["Four weeks"], re.M)
    for taught, home in meetings:
        lessons = [notebook(LESSONS[number]) for number in re.findall(r"\[(\w+)\]", taught)]
        known = {
            heading.split()[1]
            for lesson in lessons
            for cell in lesson.cells
            for heading in headings(cell)
            if heading.startswith("Exercise ")
        }
        assert set(re.findall(r"\d+b?\.\d+", home)) <= known


def test_the_one_day_adds_up_to_the_clock():
    times = re.findall(r"^\| (\d+):(\d\d) \| (\d+) \| (.+?) \|", parts(read(PLANS / "README.md"))["One day"], re.M)
    clock = [60 * int(hour) + int(minute) for hour, minute, *_ in times]
    lengths = [int(minutes) for *_, minutes, _ in times]
    assert clock[1:] == [at + length for at, length in zip(clock, lengths)][:-1]
    for _, _, minutes, what in times:
        assert "plan of" not in what or f"{minutes} minutes" in what


# licence, versions, citation -----------------------------------------------------------------------------------------

RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.M)
PROJECT = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
CITATION = yaml.safe_load(read(ROOT / "CITATION.cff"))


def test_the_changelog_keeps_its_form():
    text = read(ROOT / "CHANGELOG.md")
    releases = RELEASE.findall(text)
    assert text.startswith("# Changelog\n") and "## [Unreleased]" in text
    assert len(re.findall(r"^## ", text, re.M)) == len(releases) + 1
    days = [date.fromisoformat(day) for _, day in releases]
    versions = [tuple(map(int, version.split("."))) for version, _ in releases]
    assert days == sorted(days, reverse=True) and versions == sorted(set(versions), reverse=True)
    kinds = set(re.findall(r"^### (.+)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_package_changelog_and_citation_name_one_version():
    version, day = RELEASE.findall(read(ROOT / "CHANGELOG.md"))[0]
    assert version == PROJECT["version"] == str(CITATION["version"])
    assert day == str(CITATION["date-released"])


def test_code_and_text_have_the_authors_and_the_year_of_the_licence():
    year, authors = re.search(r"Copyright \(c\) (\d{4}) (.+)", read(ROOT / "LICENSE")).groups()
    text = read(ROOT / "LICENSE-text.md")
    assert f"© {year} {authors}" in text and "CC BY 4.0" in text
    assert "https://creativecommons.org/licenses/by/4.0/" in text
    named = [PROJECT["authors"][0]["name"], CITATION["authors"][0]["name"]]
    assert named == [authors, authors]
    assert CITATION["license"] == "MIT" and CITATION["cff-version"] == "1.2.0"
