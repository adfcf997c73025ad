"""Explorers in a notebook that is run again, saved and open in two pages: it does not grow, what is on show lives."""

import json

import pytest
from live_lab import Lab
from playwright.sync_api import expect

MAKE = '''import traitlets
from IPython.display import display
from ipywidgets import VBox
from ipywidgets.widgets.widget import _instances
from mha_lab.widgets._life import Living

class Box(Living):
    """A checkbox that lives as explorers do."""
    _esm = """export default { render({ model, el }) {
        const box = document.createElement("input");
        Object.assign(box, { type: "checkbox", className: "living", ariaLabel: "on" });
        const show = () => (box.checked = model.get("on"));
        box.onchange = () => (model.set("on", box.checked), model.save_changes());
        model.on("change:on", show);
        show();
        el.append(box);
        window.lastModel = model;
    } };"""
    on = traitlets.Bool().tag(sync=True)
    _fact = traitlets.Unicode("as it was").tag(sync=True)

awake = lambda: sum(isinstance(widget, Box) for widget in _instances.values())'''
SET = """async (sources) => {
    const { sharedModel } = window.jupyterapp.shell.currentWidget.content.model;
    sharedModel.transact(() => {
        sharedModel.deleteCellRange(0, sharedModel.cells.length);
        sharedModel.insertCells(0, sources.map((source) => ({ cell_type: 'code', source, metadata: {}, outputs: [] })));
    });
}"""
RUN = """async ([i, source]) => {
    const { content } = window.jupyterapp.shell.currentWidget;
    if (source) content.model.cells.get(i).sharedModel.setSource(source);
    content.activeCellIndex = i;
    content.deselectAll();
    await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
SAVE = """async () => {
    await window.jupyterapp.commands.execute('docmanager:save');
    return window.jupyterapp.shell.currentWidget.context.path;
}"""


class Cells:
    """The notebook's cells behind the one that says what a Box is: run once, and again by run(i)."""

    def __init__(self, lab: Lab, *sources: str):
        self.lab = lab
        lab.page.evaluate(SET, [MAKE, *sources])
        lab.run_all()

    def run(self, i, source=None):
        self.lab.page.evaluate(RUN, [i, source])

    def boxes(self, i):
        return self.lab.panel.locator(f".jp-Cell[data-windowed-list-index='{i}'] .living")

    def awake(self):
        return self.lab.python("awake()")

    def saved(self):
        path = self.lab.page.evaluate(SAVE)
        return json.dumps(json.loads((self.lab.server.files / path).read_text())["metadata"]["widgets"])


@pytest.fixture
def cells(own_lab):
    return lambda *sources: Cells(own_lab, *sources)


def test_a_cell_that_runs_again_leaves_one_explorer_and_a_notebook_no_larger(cells):
    notebook = cells("Box()", "box = Box()\ndisplay(box)", "Box();")
    before = len(notebook.saved())
    for _ in range(3):
        for i in (1, 2, 3):
            notebook.run(i)
    expect(notebook.boxes(1)).to_have_count(1)
    assert notebook.awake() == 3
    assert len(notebook.saved()) == before
    notebook.boxes(2).check()
    notebook.lab.expect_python("box.on", True)


def test_what_another_cell_shows_lives_on(cells):
    notebook = cells("box = Box()", "box", "display(box); display(box)")
    notebook.run(1)
    expect(notebook.boxes(3)).to_have_count(2)
    notebook.boxes(2).check()
    expect(notebook.boxes(3).first).to_be_checked()
    notebook.run(2)  # it shows the new one; the old one is still on show in the third cell
    expect(notebook.boxes(2)).not_to_be_checked()
    expect(notebook.boxes(3).first).to_be_checked()
    notebook.boxes(3).first.uncheck()
    expect(notebook.boxes(3).last).not_to_be_checked()
    assert notebook.awake() == 2
    notebook.run(3)
    assert notebook.awake() == 1


def test_an_explorer_that_was_kept_wakes_in_its_state_when_it_is_shown(cells):
    notebook = cells("kept = globals().get('kept', [])\nkept.append(Box())\nkept[-1]", "None")
    notebook.boxes(1).check()
    notebook.lab.expect_python("kept[0].on", True)
    notebook.run(1)
    assert notebook.awake() == 1
    notebook.run(2, "kept[0]")
    expect(notebook.boxes(2)).to_be_checked()
    notebook.boxes(2).uncheck()
    notebook.lab.expect_python("kept[0].on", False)
    expect(notebook.boxes(1)).to_have_count(1)
    assert notebook.awake() == 2


def test_an_explorer_in_a_box_of_widgets_lives_on(cells):
    notebook = cells("box = Box()\nrow = VBox([box])", "row", "VBox([box])")
    notebook.run(1)
    for i in (2, 3):
        expect(notebook.boxes(i)).to_have_count(1)
    notebook.boxes(2).check()
    expect(notebook.boxes(3)).to_be_checked()


def test_two_pages_on_one_kernel_agree(cells, browser):
    notebook = cells("box = Box()\nbox")
    path = notebook.lab.page.evaluate(SAVE)
    other = Lab(browser, notebook.lab.server)
    other.open(path)
    first, second = notebook.boxes(1), other.panel.locator(".living")
    expect(second).not_to_be_checked()
    first.check()
    expect(second).to_be_checked()
    second.uncheck()
    expect(first).not_to_be_checked()
    notebook.lab.expect_python("box.on", False)
    other.page.close()


def test_what_a_page_may_not_set_comes_back_as_it_is(cells):
    notebook = cells("box = Box()\nbox")
    expect(notebook.boxes(1)).to_have_count(1)
    page = notebook.lab.page
    for trait, value, holds in ("_fact", "'another'", "as it was"), ("on", "'yes'", False):
        page.evaluate(f"() => {{ window.lastModel.set('{trait}', {value}); window.lastModel.save_changes(); }}")
        page.wait_for_function("([trait, holds]) => window.lastModel.get(trait) === holds", arg=[trait, holds])
        assert notebook.lab.python(f"box.{trait}") == holds
