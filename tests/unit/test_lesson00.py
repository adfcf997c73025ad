"""The first page's map of the course leads to every lesson that exists, under the name on its card."""

import re
from pathlib import Path

import nbformat

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))


def test_the_map_links_every_lesson_that_exists_and_no_other():
    [first, *others] = [nbformat.read(path, as_version=4) for path in LESSONS]
    (the_map,) = (cell.source for cell in first.cells if cell.id == "map")
    linked = re.findall(r"^\| \[(\d\d\w?)\]\((\S+)\) \| (.+) \| (.+) \|$", the_map, re.M)
    to_come = re.findall(r"^\| (\d\d) \|", the_map, re.M)
    assert [file for _, file, *_ in linked] == [path.name for path in LESSONS[1:]], "link it in lesson 00's map"
    for (number, _, title, question), lesson in zip(linked, others, strict=True):
        assert lesson.cells[0].source.startswith(f"# {number} · {title}\n*{question}*\n")
    assert sorted({number[:2] for number, *_ in linked} | {*to_come}) == [f"{n:02}" for n in range(1, 15)]
