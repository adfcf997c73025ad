"""Every language of translations/: no cell is missing or old, and a lesson's code is the English one's."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import translate  # noqa: E402
from translating import faithful, lessons  # noqa: E402

LANGUAGES = sorted(path.name for path in translate.CATALOGUES.glob("*/"))
ENGLISH = translate.english_lessons()
EACH = [(language, name) for language in LANGUAGES for name in ENGLISH]
FIRST = "00_start_here.ipynb"


@pytest.mark.parametrize("language, name", EACH)
def test_every_cell_of_a_lesson_is_translated_as_it_is_now(language, name):
    assert translate.faults(language, name, ENGLISH[name]) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translated_lesson_differs_from_the_english_in_words_alone(language):
    for name, twin in translate.built(language, ENGLISH).items():
        ours = ENGLISH[name].cells
        assert [cell.id for cell in twin.cells] == [cell.id for cell in ours]
        assert [cell.metadata for cell in twin.cells] == [cell.metadata for cell in ours]
        for cell, english in zip(twin.cells, ours, strict=True):
            if english.cell_type == "code":
                assert lessons.skeleton(cell.source) == lessons.skeleton(english.source), (name, cell.id)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_to_a_section_leads_to_a_heading_of_the_translated_lesson(language):
    twins = translate.built(language, ENGLISH)
    anchors = {name: {anchor for _, _, anchor in lessons.headings(twin)} for name, twin in twins.items()}
    led = [
        (name, cell.id, file or name, anchor)
        for name, twin in twins.items()
        for cell in twin.cells
        if cell.cell_type == "markdown"
        for file, anchor in lessons.LINK.findall(cell.source)
        if not file.startswith("http")
    ]
    assert len(led) > 50 and [each for each in led if each[3] not in anchors.get(each[2], {each[3]})] == []


def test_a_change_of_one_english_cell_makes_one_message_old_and_keeps_its_translation():
    lesson = translate.english_lessons()[FIRST]
    path = translate.catalogue_path(LANGUAGES[0], FIRST)
    before = lessons.read_catalogue(path, LANGUAGES[0])
    cell = next(cell for cell in lesson.cells if lessons.is_message(cell))
    was = cell.source
    cell.source += "\n\nOne sentence more."
    old = [message for message in lessons.updated(before, lesson) if message.fuzzy and message.id]
    assert [(message.context, message.previous_id) for message in old] == [(cell.id, [was])]
    assert old[0].string == before.get(was, context=cell.id).string
    assert (
        lessons.translated(lesson, lessons.updated(before, lesson)).cells[0].source == cell.source
    )  # English until then


def test_a_catalogue_read_and_written_again_is_the_same():
    for language, name in EACH:
        path = translate.catalogue_path(language, name)
        assert lessons.content_of(lessons.read_catalogue(path, language)) == path.read_bytes()


@pytest.mark.parametrize(
    "kind, english, other, told",
    [
        ("markdown", "It has 12 heads.", "它有十二个头。", ["lacks '12'"]),
        ("markdown", "A share of .87.", "占 0.87。", []),
        (
            "markdown",
            "See [02](02.ipynb) and $d$.",
            "见 [02](03.ipynb)。",
            ["lacks '$d$'", "lacks '02.ipynb'", "adds '03.ipynb'"],
        ),
        ("markdown", "Call `view`.", "调用 `reshape`。", ["lacks '`view`'", "adds '`reshape`'"]),
        ("code", 'print(f"{n} heads, {m:.2f}")  # two', 'print(f"{m:.2f}，{n} 个头")  # 两个', []),
        ("code", "x = f(2)  # two", "x = f(3)  # 两个", ["is another program: more than strings and comments differs"]),
        (
            "code",
            'print(f"{n:.2f}")',
            'print(f"{n:.3f}")',
            ["is another program: more than strings and comments differs"],
        ),
    ],
)
def test_what_a_translation_leaves_out_or_adds_is_told(kind, english, other, told):
    assert faithful.problems(kind, english, other) == told
