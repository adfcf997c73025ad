"""Brings the translations up to date: collects what is new in the English, builds the lessons, says what is missing.

Usage: python tools/translate.py [zh_CN …]      (make translate; every language of translations/ unless some are named)

A language that has no folder yet gets one. A message is a cell of a lesson, in translations/<language>/<lesson>.po. A
cell that changed keeps its old translation, marked fuzzy, until somebody has seen it.
A built lesson keeps the outputs of cells that stay as they were; `make notebooks` runs it for the others."""

import argparse
import sys
from pathlib import Path

import nbformat
from babel import Locale, UnknownLocaleError
from translating import faithful, lessons

from mha_lab import _whole

ROOT = Path(__file__).resolve().parent.parent
ENGLISH, CATALOGUES = ROOT / "notebooks", ROOT / "translations"


def folder_of(language: str) -> Path:
    """Where a language's lessons are: notebooks/zh for zh_CN."""
    return ENGLISH / language.split("_")[0]


def english_lessons() -> dict[str, object]:
    """{file's name: lesson}"""
    return {path.name: lessons.read_lesson(path) for path in sorted(ENGLISH.glob("*.ipynb"))}


def catalogue_path(language: str, name: str) -> Path:
    return CATALOGUES / language / Path(name).with_suffix(".po").name


def built(language: str, english: dict) -> dict[str, object]:
    """{file's name: lesson} in a language, as its catalogues make them, without outputs."""
    catalogues = {name: lessons.read_catalogue(catalogue_path(language, name), language) for name in english}
    twins = {name: lessons.translated(lesson, catalogues[name]) for name, lesson in english.items()}
    anchors = {name: lessons.twin_anchors(english[name], twins[name]) for name in english}
    for name, twin in twins.items():
        for cell in twin.cells:
            if cell.cell_type == "markdown":
                cell.source = lessons.with_links(cell.source, name, anchors)
    return twins


def with_outputs(twin, stored):
    """The lesson with the outputs that are stored with equal cells."""
    before = {cell.id: cell for cell in stored.cells if cell.cell_type == "code"}
    for cell in (cell for cell in twin.cells if cell.cell_type == "code"):
        old = before.get(cell.id)
        if old and old.source == cell.source:
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    return twin


def faults(language: str, name: str, lesson) -> list[str]:
    """What is missing, fuzzy or unlike the English in a lesson's catalogue, a sentence each."""
    found = []
    for message in lessons.updated(lessons.read_catalogue(catalogue_path(language, name), language), lesson):
        if not message.context:
            continue
        kind = message.auto_comments[0]
        if not message.string:
            found.append(f"{name}: cell {message.context} has no translation yet.")
        elif message.fuzzy:
            found.append(f"{name}: cell {message.context} changed in English since it was translated.")
        else:
            found += [
                f"{name}: cell {message.context} {each}."
                for each in faithful.problems(kind, message.id, message.string)
            ]
    return found


def bring(language: str) -> list[str]:
    """Update a language's catalogues and what is built of them; what is left to do, a sentence each."""
    english, left = english_lessons(), []
    for name, lesson in english.items():
        path = catalogue_path(language, name)
        store(path, lessons.content_of(lessons.updated(lessons.read_catalogue(path, language), lesson)))
        left += faults(language, name, lesson)
    for name, twin in built(language, english).items():
        path = folder_of(language) / name
        if path.exists():
            twin = with_outputs(twin, lessons.read_lesson(path))
        store(path, (nbformat.writes(twin) + "\n").encode())
    return left


def store(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        _whole.write(path, content)


def main(arguments):
    parser = argparse.ArgumentParser(description="Bring the translations up to date, and say what is missing.")
    parser.add_argument("languages", nargs="*", help="such as zh_CN; all of translations/ unless given")
    languages = parser.parse_args(arguments).languages or sorted(path.name for path in CATALOGUES.glob("*/"))
    for language in languages:
        try:
            Locale.parse(language)
        except (ValueError, UnknownLocaleError):
            parser.error(f"{language} is no language that Babel knows; a name is such as zh_CN or fr")
        left = bring(language)
        print(*left, f"{language}: {len(left)} messages are left." if left else f"{language}: complete.", sep="\n")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
