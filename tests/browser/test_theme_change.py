"""A theme changes over several frames, in one of which JupyterLab hides the page: explorers stay as wide as before."""

from live_lab import steady

SHOWN = """
from IPython.display import display
from mha_lab.pretrained import recorded_projection
from mha_lab.widgets import *
for shown in [CostExplorer(), KVCacheExplorer(), LayerMap(mode="cache"), TileExplorer(query_rows=3),
              HeadExplorer.from_projection(*recorded_projection(), num_heads=12)]:
    display(shown)
"""
WIDTHS = """() => [...document.querySelectorAll('.mha :is(svg, canvas)')].map(
    (node) => [node.getAttribute('class'), Math.round(node.getBoundingClientRect().width)])"""
FRAMES = (
    "() => new Promise((over) => { let n = 9; const on = () => (n-- ? requestAnimationFrame(on) : over()); on(); })"
)


def test_a_change_of_the_theme_leaves_every_drawing_as_wide_as_its_explorer(lab):
    output = lab.show(SHOWN)
    for root in output.locator(".mha").all():
        steady(root)
    assert output.locator(".mha").count() == 5
    lab.page.evaluate(FRAMES)
    before = lab.page.evaluate(WIDTHS)
    assert len(before) >= 8
    for theme in ["Dark", "Light"] * 3:
        lab.theme(f"JupyterLab {theme}")
        lab.page.evaluate(FRAMES)
        lab.page.wait_for_timeout(300)
        assert lab.page.evaluate(WIDTHS) == before, theme
