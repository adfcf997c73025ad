"""Makes each lesson one HTML page in handouts/ that opens from disk, without Jupyter and without a network.

Usage: python tools/make_handouts.py [--answers end|place|none] [--pdf] [01 02 …]      (make handouts ARGS="…")

Each lesson runs in a fresh kernel. Its explorers are alive in the page, by the static host that
`explorer.save_html` uses; where no script runs, and in print, their pictures stand. What answers a prediction, an
output that JupyterLab hides until its cell is run, waits behind a fold; so do hints and solutions. On paper they stand
at the end, or in their place; with `--answers none` they are not in the page at all. index.html leads to the pages,
which find each other in one folder. With lesson 14 comes its decision page, on one sheet of A4: choosing.html. Where a
Chromium is found that one is a PDF too, and with --pdf so is every handout.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import base64
import os
import re
import shutil
import subprocess
import sys
from html import escape, unescape
from pathlib import Path

import handout_answers
import handout_index
import handout_words
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from run_notebooks import LESSONS, WIDGET, execute, for_each_lesson, parser_of_lessons

from mha_lab import _whole, choosing
from mha_lab.widgets import _static

HANDOUTS = LESSONS.parent / "handouts"
STATE = "application/vnd.jupyter.widget-state+json"
STYLE = Path(__file__).with_suffix(".css")
NEEDS_PYTHON = '<p class="note">A control that needs Python stands here: open the lesson in JupyterLab.</p>'
FOLD = """{%- extends 'basic/index.html.j2' -%}
{%- block output_group -%}
{%- if cell.metadata.get("jupyter", {}).get("outputs_hidden") -%}
<details class="answer"><summary>{{ cell.metadata.fold }}</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock output_group -%}"""
NOTE = """<p class="note"><a href="index.html">All handouts</a> of the Multi-Head Attention Lab: links between them work
where they lie in one folder. The explorers work on this page; to run the code, change it and have your answers checked,
open the lesson in JupyterLab.</p>
"""
LICENCE = '<p class="note licence">CC BY 4.0, The Multi-Head Attention Lab authors</p>'
PAPER = """@page {{
  size: A4;
  margin: 20mm 16mm 18mm;
  @top-left {{ content: {title}; font: 9pt system-ui, sans-serif; color: #616161; }}
  @bottom-right {{ content: counter(page) " of " counter(pages); font: 9pt system-ui, sans-serif; color: #616161; }}
}}
@page :first {{ @top-left {{ content: none; }} }}
"""


def widget_states(notebook):
    """The state of each explorer that the notebook's cells left behind, bytes as bytes."""
    states = {}
    for model_id, model in notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}).items():
        for buffer in model.get("buffers", []):
            *way, last = buffer["path"]
            place = model["state"]
            for step in way:
                place = place[step]
            place[last] = base64.b64decode(buffer["data"])
        if "_esm" in model["state"]:
            states[model_id] = model["state"]
    return states


def with_hosts(notebook, states):
    """In place: every view of an explorer becomes the static host's place for it, and every figure has its words."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if data.pop("application/javascript", None) and not data:
            data["text/plain"] = "A script stands here, which a handout does not run."
        model_id = data.get(WIDGET, {}).get("model_id")
        if model_id in states:
            output.data = {"text/html": _static.host(model_id, data, output.metadata)}
        elif model_id:
            output.data = {"text/html": NEEDS_PYTHON}
        elif "image/png" in data:
            output.metadata.setdefault("image/png", {})["alt"] = "figure, drawn by the code above"


def with_links(notebook):
    """In place: a link to a lesson leads to its handout; what else lies in the repository is named and not linked."""
    for data in (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])):
        if "text/html" in data:
            data["text/html"] = re.sub(r'(<a href="\w+)\.ipynb', r"\1.html", data["text/html"])
    for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown"):
        cell.source = re.sub(r"\]\((\w+)\.ipynb", r"](\1.html", cell.source)
        cell.source = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", cell.source)


def inert(body):
    """The body with every tag that runs, fetches, sends or leads away shown as text. The page's own rules let none of
    them act but the meta tag's refresh; a cell's output has no business with any of them."""
    return re.sub(r"<(?=/?(script|meta|base|link|iframe|frame|object|embed|form)\b)", "&lt;", body, flags=re.IGNORECASE)


def with_anchors(body):
    """The body with names on its headings, those that JupyterLab gives them, so that links to sections find them."""
    named = set()

    def name(heading):
        anchor = unescape(re.sub(r"<[^>]+>", "", heading[2])).replace(" ", "-")
        if anchor in named:
            return heading[0]
        named.add(anchor)
        return f'<{heading[1]} id="{escape(anchor)}">{heading[2]}</{heading[1]}>'

    return re.sub(r"<(h[1-6])>(.*?)</\1>", name, body, flags=re.DOTALL)


def with_ways(body):
    """The body with the lines that lead to the lessons before and after named as such: paper needs none."""
    link = r'<a href="\w+\.html">[^<]*[←→][^<]*</a>'
    return re.sub(rf"<p>((?:{link}|[ ·\n])+)</p>", r'<p class="way">\1</p>', body)


def title_of(notebook):
    """The first heading, or None."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return next((found[1] for text in texts if (found := re.search(r"^# +(\S.*)", text, re.M))), None)


def handout(notebook, name="A lesson", answers="end"):
    """The page of an executed lesson; it bears the name where the lesson has no heading."""
    states = widget_states(notebook)
    handout_words.where_nothing_runs(notebook, solutions=answers != "none")
    with_hosts(notebook, states)
    with_links(notebook)
    notebook.metadata.pop("widgets", None)
    title = title_of(notebook) or name
    exporter = HTMLExporter(
        raw_template=FOLD,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = handout_answers.placed(with_ways(with_anchors(inert(body))), answers)
    shown = {model_id: state for model_id, state in states.items() if f'data-model="{model_id}"' in body}
    return _static.document(title, NOTE + body + LICENCE, shown, style=style(title))


def style(title):
    """The rules of a page: code in two themes, and on paper the title above each page but the first."""
    light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("xcode", "github-dark"))
    dark = f"@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
    words = re.sub(r"[^\w ·.,:?!–-]", lambda letter: f"\\{ord(letter[0]):x} ", title)  # as CSS writes it, and no tag
    return "\n".join([light, dark, STYLE.read_text(encoding="utf-8"), PAPER.format(title=f'"{words}"')])


def size_without_figures(page):
    return len(re.sub(r'src="data:image/[^"]+"', "", page).encode())


def make(path, answers="end", pdf=False):
    """Run a lesson and write its handout; the handout's sizes in words."""
    page = handout(execute(path, widget_state=True), path.stem, answers)
    HANDOUTS.mkdir(exist_ok=True)
    target = HANDOUTS / f"{path.stem}.html"
    _whole.write(target, page)
    whole, rest = len(page.encode()) / 1e6, size_without_figures(page) / 1e6
    printed = f"; {printed_to_pdf(target)}" if pdf else ""
    return f"{HANDOUTS.name}/{target.name}: {whole:.2f} MB, {rest:.2f} beside its figures{printed}{sheet(path)}"


BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge"
PRINT = "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"
PATIENCE = 120  # seconds for a handout


def printed_to_pdf(page):
    """A page as PDF beside it, by a Chromium; what was written, in words."""
    browser = next(filter(None, map(shutil.which, filter(None, [os.environ.get("CHROMIUM"), *BROWSERS]))), None)
    if browser is None:
        return "no PDF, for no Chromium was found to print it"
    target = page.with_suffix(".pdf")
    with _whole.beside(target) as partial:
        command = [browser, *PRINT, f"--print-to-pdf={partial}", page.as_uri()]
        subprocess.run(command, timeout=PATIENCE, check=True, capture_output=True)
    return f"{HANDOUTS.name}/{target.name}"


def sheet(path):
    """The decision page beside the handout of lesson 14, as HTML and as PDF; what was written, in words."""
    if not path.name.startswith("14_"):
        return ""
    page = choosing.page().save_html(HANDOUTS / "choosing.html")
    return f"; {HANDOUTS.name}/{page.name}, one sheet of A4; {printed_to_pdf(page)}"


def main(arguments):
    parser = parser_of_lessons("Make each lesson one HTML page that works from disk, without Jupyter.")
    parser.add_argument(
        "--answers", choices=handout_answers.WAYS, default="end", help="where paper has them; none: not in the page"
    )
    parser.add_argument("--pdf", action="store_true", help="print each page to a PDF beside it, with a Chromium")
    options = parser.parse_args(arguments)
    failed = for_each_lesson(parser, options.lessons, lambda path: make(path, options.answers, options.pdf))
    if not HANDOUTS.exists():
        return failed
    try:
        handout_index.write(HANDOUTS, style)
    except OSError as error:
        print(f"index.html was left as it was: {error.strerror or error}.", flush=True)
        return failed + 1
    return failed


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter ends no run
    sys.exit(main(sys.argv[1:]))
