"""Makes each lesson slides in slides/: one HTML page that opens from disk, without Jupyter and without a network.

Usage: python tools/make_slides.py [--plan 45] [--students] [02 …]      (make slides LESSON=02)

Each lesson runs in a fresh kernel. One idea a slide, by rule: a section, a question, an exercise and a fold begin a
slide; code stands with what it shows; an answer that JupyterLab hides until its cell is run comes with the next key.
The explorers are alive. S opens the teacher's page: what folds and hints say, our solutions, and the lesson's plan.

--plan      only the sections of the plan for 45 or 90 minutes (docs/teaching)
--students  without the teacher's page

A cell's tag `slides-skip` leaves it out, and `slides-break` begins a slide with it, where the rules do not suffice.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import re
import sys
from html import escape, unescape
from pathlib import Path
from urllib.parse import quote

from make_handouts import inert, widget_states, with_hosts
from nbconvert.filters import markdown2html
from pygments.formatters import HtmlFormatter
from run_notebooks import LESSONS, execute, for_each_lesson, parser_of_lessons
from slide_notes import Plan, of_check, same
from slide_packing import Slide, packed
from slide_parts import Part, parts_of_code, parts_of_output, parts_of_text, plain, shown_code

from mha_lab import _whole
from mha_lab.widgets import _static

SLIDES = LESSONS.parent / "slides"
STYLE = Path(__file__).with_suffix(".css")
ANSWER = (
    ' fragment" aria-hidden="true"'  # a screen reader has no answer before the others; frontend/src/slides shows it
)
LICENCE = "<p>CC BY 4.0, The Multi-Head Attention Lab authors</p>"
CHECK = re.compile(r"^(?:\w+ = )?checks\.(\w+)\(", re.MULTILINE)
EXPLORER = re.compile(r"^(?:\w+ = )?(?:widgets\.)?[A-Z]\w+(?:\.\w+)?\(|^explorer$", re.MULTILINE)


# from cells to parts -------------------------------------------------------------------------------------------------


def parts_of(notebook):
    """Every part of a lesson that its slides show, in order; the card, the first cell, is a slide by itself."""
    asks = False  # what was said last
    for cell in notebook.cells[1:]:
        tags = cell.metadata.get("tags", [])
        if "slides-skip" in tags:
            continue
        first = True
        for part in parts_of_text(cell.source) if cell.cell_type == "markdown" else parts_of_cell(cell):
            part.starts = first and "slides-break" in tags
            first = False
            answers = asks and part.kind in ("output", "figure")
            part.hidden = part.hidden or answers  # a question is not answered before a room has thought
            yield part
            asks = (part.kind == "text" and "?" in plain(part.html)) or (asks and (part.kind == "code" or answers))


def parts_of_cell(cell):
    hidden = bool(cell.metadata.get("jupyter", {}).get("outputs_hidden"))
    if check := CHECK.search(cell.source):
        if any("not attempted" in str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs):
            yield Part("check", notes=[of_check(check[1])])
            return
        if check[1] == "progress":
            return
    if "widgets.reckoning(" in cell.source:
        yield from reckoned(cell)
        return
    outputs = [part for output in cell.outputs for part in parts_of_output(output, hidden)]
    alive = any(part.kind == "explorer" for part in outputs)
    drawn = any(part.kind == "figure" for part in outputs)
    if code := "" if alive else shown_code(cell.source, with_output=bool(outputs), drawn=drawn):
        yield from parts_of_code(code, leads=hidden and bool(outputs), cell=cell.source)
    yield from outputs


def reckoned(cell):
    """What was asked and what it was: the room remembers what it said."""
    for output in cell.outputs:
        asked = re.findall(
            r"^(\S.*)\n +you said:.*\n +it was: +(.*)", output.get("data", {}).get("text/plain", ""), re.M
        )
        rows = "".join(f"<tr><td>{escape(q)}</td><td>{escape(a)}</td></tr>" for q, a in asked)
        if rows:
            html = f'<table class="reckoned"><tr><th>asked</th><th>it was</th></tr>{rows}</table>'
            yield Part("output", html, 70 + 76 * len(asked), hidden=True)


def first_slide(notebook, plan):
    """The lesson's name, its question, and what one can do afterwards."""
    card = notebook.cells[0].source
    title = re.search(r"^# (.*)", card, re.MULTILINE)
    slide = Slide("", plain(title[1]) if title else "A lesson", big=True, notes=[plan.at_the_beginning()])
    question = re.search(r"^\*([^*].*)\*$", card, re.MULTILINE)
    if question:
        slide.parts.append(Part("text", f'<p class="question">{markdown2html(question[1])[3:-5]}</p>', 80))
    row = re.search(r"^\|[-|: ]+\|\n\|(.*?)\|", card, re.MULTILINE)
    if row:
        goals = "".join(f"<li>{goal.strip(' •')}</li>" for goal in row[1].split("<br>"))
        slide.parts.append(Part("text", f"<p>After this lesson you can</p><ul>{goals}</ul>", 300))
    return slide


def last_slides(plan):
    """The plan's exit question, and its answer."""
    if not (exit_question := plan.exit_question()):
        return []
    question, answer = exit_question
    parts = [Part("text", markdown2html(question), 200)]
    if answer:
        parts.append(Part("fold", markdown2html(answer), 200, hidden=True))
    return [Slide("Exit question", "Exit question", parts=parts, notes=[markdown2html(answer)])]


def slides_of(notebook, plan, minutes=None):
    """All slides of an executed lesson whose explorers have their hosts; `minutes` chooses the sections of a plan."""
    between = packed(parts_of(notebook))
    wanted = plan.sections(minutes) if minutes else None
    if minutes and wanted is None:
        raise ValueError(f"there is no plan of {minutes} minutes for this lesson in docs/teaching.")
    if wanted is not None:
        between = [slide for slide in between if any(same(title, slide.group) for title in wanted)]
        between = without_homework(between, plan, minutes)
    tell_plan(between, plan)
    sources = [slide for slide in between if slide.group == "Sources"]
    rest = [slide for slide in between if slide.group != "Sources"]
    return [first_slide(notebook, plan), *rest, *last_slides(plan), *sources]


def without_homework(slides, plan, minutes):
    """The slides without the exercises that the plan leaves for home, and without the ends of a reader's sittings."""
    kept, at_home = [], False
    for slide in slides:
        exercise = re.match(r"Exercise (\w+\.\d+)", plain(slide.title))
        stub = any(re.search(r"^ +\.\.\.$|= None|None,", part.source, re.MULTILINE) for part in slide.parts)
        at_home = (
            exercise[1] not in plan.exercises(slide.group, minutes)
            if exercise
            else at_home and stub and not slide.title
        )
        slide.parts = [part for part in slide.parts if not part.html.startswith("<p><strong>End of sitting")]
        if not at_home and (slide.parts or slide.title):
            kept.append(slide)
    return kept


def tell_plan(slides, plan):
    """In place: what is done in a section goes to its slides, a misconception to the cell that settles it."""
    for slide in slides:
        slide.notes.insert(0, plan.of_section(slide.group))
    for code, section, told in plan.misconceptions():
        there = [slide for slide in slides if section and same(section, slide.group)]
        cells = [slide for slide in there if code and any(code in part.source for part in slide.parts)]
        for slide in (cells or there)[:1]:
            slide.notes.append(told)


# from slides to a page -----------------------------------------------------------------------------------------------


def section(slide, lesson, students, name=""):
    """One slide as reveal.js wants it; links find it by its name."""
    title = escape(plain(slide.title or first_words(slide) or slide.group or lesson), quote=True)
    line = (
        ""
        if slide.big
        else escape(plain(slide.group if slide.group and not same(slide.group, slide.title) else lesson))
    )
    level = "h1" if slide.big else "h2"
    head = f"<{level}>{slide.title}</{level}>" if slide.title else ""
    parts = "".join(
        f'<div class="part {part.kind}{ANSWER if part.hidden else chr(34)}>{inert(part.html)}</div>'
        for part in merged(slide.parts)
    )
    told = "" if students else inert("".join(filter(None, slide.notes)))
    notes = f'<aside class="notes">{told}</aside>' if told else ""
    look = "slide" + " big" * slide.big + " sparse" * slide.is_sparse + " lone" * slide.is_lone
    name = f' id="{escape(name)}"' if name else ""
    return (
        f'<section{name} data-title="{title}"><div class="{look}"><p class="line">{line}</p>{head}'
        f'<div class="slide-body"><div class="content">{parts}</div></div></div>{notes}</section>'
    )


def first_words(slide, many=9):
    """How a slide without a title begins, for the teacher who asks what comes next."""
    words = next((plain(part.html).split() for part in slide.parts if part.kind in ("text", "asked")), [])
    return " ".join(words[:many]) + " …" * (len(words) > many)


def link(slides):
    """In place: a link to a section, and words of an explorer above, lead to its slide; the slides' names."""
    names, explorers = [], []

    def to_explorer(found):
        place = explorers[0 if found[2].endswith("top") else -1]
        return f'{found[1]} <a href="#/{quote(place)}">{found[2]}</a>'

    for i, slide in enumerate(slides):
        anchor = plain(slide.title).replace(" ", "-")
        alive = any(part.kind == "explorer" and 'alt="Guess(' not in part.html for part in slide.parts)
        names.append(anchor if anchor and anchor not in names else f"explorer-{i + 1}" if alive else "")
        for part in (part for part in slide.parts if explorers and part.kind == "text"):
            part.html = re.sub(r"\b([Tt]he) (explorer(?: above| at the top)?)\b(?!')", to_explorer, part.html, count=1)
        explorers += [names[-1]] * alive
    known = {quote(name): name for name in names if name}

    def leading(found):
        name = unescape(found[1])
        there = next((each for each in known if each in (name, quote(name))), None)
        return f'<a href="#/{there}">{found[2]}</a>' if there else found[2]

    for part in (part for slide in slides for part in slide.parts if part.kind in ("text", "fold")):
        part.html = re.sub(r'<a href="#(?!/)([^"]*)">(.*?)</a>', leading, part.html, flags=re.DOTALL)
    return names


def merged(parts):
    """Parts that answer together come with one key."""
    found = []
    for part in parts:
        if part.hidden and found and found[-1].hidden and found[-1].kind == part.kind and part.kind != "explorer":
            found[-1] = Part(part.kind, found[-1].html + part.html, hidden=True)
        else:
            found.append(part)
    return found


def page_of(notebook, stem="lesson", *, minutes=None, students=False):
    """The page of an executed lesson."""
    states = widget_states(notebook)
    with_hosts(notebook, states)
    slides = slides_of(notebook, Plan.of(stem), minutes)
    lesson = slides[0].title
    names = link(slides)
    slides[-1].parts.append(Part("licence", LICENCE))
    columns, group = [], None
    for slide, name in zip(slides, names):
        if slide.group != group or not columns:
            columns.append([])
            group = slide.group
        columns[-1].append(section(slide, lesson, students, name))
    body = "\n".join(f"<section>{''.join(column)}</section>" for column in columns)
    light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("xcode", "github-dark"))
    style = (
        f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n{STYLE.read_text(encoding='utf-8')}"
    )
    shown = {model: state for model, state in states.items() if f'data-model="{model}"' in body}
    return _static.document(
        lesson, f'<div class="reveal"><div class="slides">{body}</div></div>', shown, style=style, page="slides"
    )


def make(path, minutes=None, students=False):
    """Run a lesson and write its slides; what was written, in words."""
    page = page_of(execute(path, widget_state=True), path.stem, minutes=minutes, students=students)
    SLIDES.mkdir(exist_ok=True)
    number = path.stem.split("_")[0]
    marks = [number, *([f"{minutes}min"] if minutes else []), *(["students"] if students else [])]
    target = SLIDES / f"{'_'.join(marks)}.html"
    _whole.write(target, page)
    return f"{SLIDES.name}/{target.name}: {page.count('data-title=')} slides, {len(page.encode()) / 1e6:.1f} MB"


def main(arguments):
    parser = parser_of_lessons("Make each lesson slides that open from disk, without Jupyter.")
    parser.add_argument("--plan", type=int, choices=(45, 90), metavar="MINUTES", help="only what a plan goes through")
    parser.add_argument("--students", action="store_true", help="without the teacher's page")
    given = parser.parse_args(arguments)
    names = given.lessons or sorted({path.stem.split("_")[0] for path in LESSONS.glob("[0-9]*.ipynb")})
    return for_each_lesson(parser, names, lambda path: make(path, given.plan, given.students))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
