"""Every lesson, opened in JupyterLab and run from top to bottom: no error, and every explorer draws."""

import shutil

import pytest
from live_lab import REPOSITORY, steady
from playwright.sync_api import expect

LESSONS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
EXPLORERS = {
    "HeadExplorer": ".mha-heads",
    "AttentionStepper": ".mha-step",
    "OutputMixer": ".mha-mix",
    "CostExplorer": ".mha-cost",
    "KVCacheExplorer": ".mha-cache",
    "TileExplorer": ".mha-tiles",
    "LayerMap": ".mha-layer",
    "ModelTable": ".mha-models",
    "IntentExplorer": ".mha-intent",
    "HeadSwitches": ".mha-switch",
}
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.stem for lesson in LESSONS])
def test_a_lesson_runs_and_its_explorers_draw(lab, lesson):
    shutil.copy(lesson, lab.server.files / lesson.name)
    with lab.beside(lesson.name):
        lab.run_all()
        outputs = [output for cell in lab.cells() for output in cell.get("outputs", [])]
        warnings = ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]
        assert not warnings, warnings[0]
        shown = ["".join(output["data"]["text/plain"]) for output in outputs if WIDGET in output.get("data", {})]
        expect(lab.panel.get_by_text("Error displaying widget")).to_have_count(0)
        for name, selector in EXPLORERS.items():
            explorers = lab.panel.locator(selector)
            expect(explorers).to_have_count(sum(text.startswith(name) for text in shown))
            for explorer in explorers.all():
                explorer.scroll_into_view_if_needed()
                steady(explorer)
        for maps in lab.panel.locator(".mha-heads canvas:first-child").all():
            assert maps.evaluate(COLOURS) > 20, "an empty picture"


COLOURS = """(canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""
