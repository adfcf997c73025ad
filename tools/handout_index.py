"""index.html, which leads to the handouts of its folder."""

import re
from html import escape

import run_notebooks

from mha_lab import _whole
from mha_lab.widgets import _static


def write(folder, style):
    """A page that leads to the handouts of the folder: every lesson with its question and its time."""
    rows, others = [], []
    for path in sorted(run_notebooks.LESSONS.glob("*.ipynb")):
        page = folder / f"{path.stem}.html"
        if not page.exists():
            continue
        title, question, time = card(run_notebooks.read(path))
        link = f'<a href="{page.name}">{title or path.stem}</a>{pdf_of(page)}'
        if time:
            rows += [f"<tr><td>{link}</td><td>{question}</td><td>{time}</td></tr>"]
        else:
            others += [f"<li>{link}{f': {question}' if question else ''}</li>"]
    if (page := folder / "choosing.html").exists():
        others += [f'<li><a href="{page.name}">What to choose</a>{pdf_of(page)}: the decisions on one sheet</li>']
    title, heads = "Handouts of the Multi-Head Attention Lab", ("lesson", "question", "time")
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = f"""<h1>{title}</h1>
<table class="index">
<thead><tr>{head}</tr></thead>
<tbody>
{"".join(rows)}
</tbody>
</table>
{f"<h2>Beside the lessons</h2><ul>{''.join(others)}</ul>" if others else ""}"""
    _whole.write(folder / "index.html", _static.document(title, body, {}, style=style(title)))


def card(notebook):
    """A lesson's title, the question in italics below it, and the time of its card, as HTML; "" for what it lacks."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    found = [
        re.search(way, text, re.M) for way in (r"^# +(\S.*)", r"^\*([^*].*)\*$", r"^\|[^|]*\| *([^|]*min[^|]*?) *\|")
    ]
    return [escape(part[1]) if part else "" for part in found]


def pdf_of(page):
    target = page.with_suffix(".pdf")
    return f' (<a href="{target.name}">PDF</a>)' if target.exists() else ""
