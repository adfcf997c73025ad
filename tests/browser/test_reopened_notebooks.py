"""A notebook that is opened when its kernel has ended: a committed lesson, and one that a learner ran and saved."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from live_lab import Lab
from nbformat.sign import NotebookNotary
from playwright.sync_api import expect

LESSON = Path(__file__).parents[2] / "notebooks" / "02_multi_head_projection.ipynb"
NO_MODEL = re.compile("model not found|Error displaying widget|Error creating widget")
EXPLORER = """import numpy as np
from mha_lab.widgets import HeadExplorer
query, key = np.random.default_rng(0).normal(size=(2, 3, 12))
HeadExplorer.from_projection(query, key, ["trophy", "suitcase", "it"], num_heads=4)"""


@pytest.fixture
def lesson(browser, server):
    """A committed lesson in a JupyterLab that trusts it, its kernel shut down."""
    shutil.copy(LESSON, server.files)
    NotebookNotary(data_dir=str(server.data)).sign(nbformat.read(LESSON, as_version=4))
    lab = Lab(browser, server)
    lab.open(LESSON.name)
    lab.stop_kernel()
    yield lab
    lab.page.close()


def test_a_committed_lesson_shows_its_explorers_pictures(lesson):
    number = next(i for i, cell in enumerate(lesson.cells()) if cell["id"] == "head-explorer")
    trusted = lesson.page.evaluate(
        """(number) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.scrollToItem(number);
            return content.model.cells.get(number).trusted;
        }""",
        number,
    )
    assert trusted
    cell = lesson.panel.locator(f".jp-Cell[data-windowed-list-index='{number}']")
    expect(cell.locator(".jp-OutputArea img")).to_be_visible()
    expect(lesson.panel.get_by_text(NO_MODEL)).to_have_count(0)


def test_a_notebook_that_was_run_and_saved_opens_with_its_explorers_alive(own_lab):
    heads = own_lab.show(EXPLORER).get_by_role("slider", name="Heads")
    heads.press("ArrowRight")
    own_lab.expect_python("_.num_heads", 6)
    own_lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    own_lab.stop_kernel()
    own_lab.open(own_lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path"))
    facts = own_lab.panel.locator(".mha-heads-facts")
    expect(facts).to_contain_text("heads H6")
    expect(own_lab.panel.get_by_text(NO_MODEL)).to_have_count(0)
    own_lab.stop_kernel()
    heads.press("ArrowRight")
    expect(facts).to_contain_text("heads H12")
