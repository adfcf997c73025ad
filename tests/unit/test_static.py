"""Explorers in a page of their own, and lessons as handouts: what is in the file. How they behave: tests/browser."""

import base64
import json
import re
from html.parser import HTMLParser

import make_handouts
import nbformat
import numpy as np
import pytest
import run_notebooks

from mha_lab.pretrained import recorded
from mha_lab.widgets import (
    AttentionStepper,
    CostExplorer,
    Guess,
    HeadExplorer,
    HeadSwitches,
    KVCacheExplorer,
    MockInterview,
    ModelTable,
    OutputMixer,
    TileExplorer,
    TrueOrFalse,
)
from mha_lab.widgets._static import document, host

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"&quot;<!--']


class Tags(HTMLParser):
    """Every start tag of a page with its attributes, and the text in each script."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, text):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += text


def projection(tokens=("a", "b", "c")):
    query, key = np.random.default_rng(0).normal(size=(2, len(tokens), 12)).astype(np.float32)
    return HeadExplorer.from_projection(query, key, list(tokens), num_heads=4)


def stepper():
    return AttentionStepper(np.eye(3), np.eye(3), np.eye(3), HOSTILE)


def mixer():
    return OutputMixer(np.ones((2, 3, 2)), np.ones((4, 3)), HOSTILE)


def tiles():
    return TileExplorer(tokens=HOSTILE)


def switches():
    return HeadSwitches(lambda mask: {HOSTILE[0]: mask.mean(), HOSTILE[1]: 0}, num_layers=1, num_heads=3)


def guess():
    return Guess("02.parameters", HOSTILE[0], HOSTILE[1:])


def trained():
    return HeadExplorer(recorded(), model=lambda: None)


ALL = [
    projection,
    trained,
    stepper,
    mixer,
    switches,
    tiles,
    guess,
    TrueOrFalse,
    CostExplorer,
    KVCacheExplorer,
    MockInterview,
    ModelTable,
]


def saved(explorer, folder):
    return Tags(explorer.save_html(folder / "page.html").read_text(encoding="utf-8"))


def states(page):
    return [model["state"] for model in json.loads(page.scripts[0])["models"].values()]


@pytest.mark.parametrize("explorer", ALL)
def test_a_saved_page_fetches_nothing_and_stays_small(explorer, tmp_path):
    page = saved(explorer(), tmp_path)
    wanted = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert [place[:30] for place in wanted if not place.startswith("data:image/png;base64,")] == []
    policies = [attributes.get("content", "") for tag, attributes in page.tags if tag == "meta"]
    assert any(policy.startswith("default-src 'none'") and "http" not in policy for policy in policies)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(", text)
    assert len(text) < 800_000


@pytest.mark.parametrize("explorer", [lambda: projection(HOSTILE), stepper, mixer])
def test_tokens_are_text_in_a_saved_page_whatever_they_hold(explorer, tmp_path):
    page = saved(explorer(), tmp_path)
    assert [tag for tag, _ in page.tags].count("script") == 2 == len(page.scripts)
    assert [tag for tag, _ in page.tags].count("img") == 1  # its picture
    assert states(page)[0]["tokens"] == HOSTILE


def test_a_title_is_text_too_and_has_a_default(tmp_path):
    path = KVCacheExplorer().save_html(tmp_path / "a.html")
    assert "<title>KV Cache Explorer</title>" in path.read_text(encoding="utf-8")
    path = KVCacheExplorer().save_html(tmp_path / "a.html", title="Is 1 < 2?")
    assert path.read_text(encoding="utf-8").count("Is 1 &lt; 2?") == 2  # in the tab and above the explorer


def test_a_saved_page_opens_in_the_state_that_was_saved(tmp_path):
    explorer = projection()
    explorer.set_trait("num_heads", 6)
    explorer.pinned = [5, 1]
    state = states(saved(explorer, tmp_path))[0]
    assert (state["num_heads"], state["pinned"]) == (6, [5, 1])
    assert base64.b64decode(state["_query"]["base64"]) == explorer._query


def test_a_saved_page_offers_nothing_that_needs_a_kernel(tmp_path):
    state = states(saved(trained(), tmp_path))[0]
    assert state["can_read"] is False
    assert "no kernel" in state["how_to_read"] and "JupyterLab" in state["how_to_read"]
    assert states(saved(switches(), tmp_path))[0]["can_predict"] is False


def test_a_module_is_in_the_page_once_for_each_class():
    explorers = [projection(), projection(), stepper()]
    page = document("Three", "", {e.model_id: e.get_state() for e in explorers})
    found = json.loads(Tags(page).scripts[0])
    assert (len(found["modules"]), len(found["models"])) == (2, 3)
    assert page.count(explorers[0]._css) == 1
    assert [name for model in found["models"].values() for name in model["state"] if name in ("_esm", "_css")] == []


def test_the_picture_stands_where_no_script_runs():
    explorer = projection()
    place = host(explorer.model_id, *explorer._repr_mimebundle_())
    assert '<img src="data:image/png;base64,' in place and f'alt="{explorer!r}"' in place
    statements = TrueOrFalse()
    assert "<li>" in host(statements.model_id, *statements._repr_mimebundle_())


def test_a_path_that_cannot_be_saved_to_is_answered_in_one_sentence(tmp_path):
    explorer = KVCacheExplorer()
    assert explorer.save_html(str(tmp_path / "page.html")) == tmp_path / "page.html"
    with pytest.raises(FileNotFoundError, match=r"nowhere/page\.html' cannot be written: No such file or directory\.$"):
        explorer.save_html(tmp_path / "nowhere" / "page.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OSError, match=r"folder\.html' cannot be written: "):
        explorer.save_html(tmp_path / "folder.html")
    with pytest.raises(ValueError, match=r"'page' must end in \.html, so that a double click opens it"):
        explorer.save_html("page")


# handouts ------------------------------------------------------------------------------------------------------------


def lesson(*cells, **metadata):
    title = nbformat.v4.new_markdown_cell("# 99 · A < B")
    return nbformat.v4.new_notebook(cells=[title, *cells], metadata=metadata)


def test_links_in_a_handout_lead_to_handouts():
    text = "[next](03_b_c.ipynb) [part](03_b_c.ipynb#2) [the data](../data/README.md) [paper](https://arxiv.org/abs/1)"
    page = make_handouts.handout(lesson(nbformat.v4.new_markdown_cell(text + " [words](notation.ipynb)")))
    links = ["index.html", "03_b_c.html", "03_b_c.html#2", "https://arxiv.org/abs/1", "notation.html"]
    assert re.findall(r'href="([^"]+)"', page) == links
    assert "the data" in page and "<title>99 · A &lt; B</title>" in page


def test_links_in_an_output_of_a_handout_lead_to_handouts_too():
    table = '<a href="03_b_c.ipynb#2.-Why">03</a> <a href="https://arxiv.org/abs/1.ipynb">paper</a>'
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("execute_result", {"text/html": table})])
    page = make_handouts.handout(lesson(cell))
    links = ["index.html", "03_b_c.html#2.-Why", "https://arxiv.org/abs/1.ipynb"]
    assert re.findall(r'href="([^"]+)"', page) == links


def test_a_heading_of_a_handout_has_the_name_that_jupyterlab_gives_it_once():
    text = "## 2. W<sup>O</sup>, `view` & *more*\n\ntext\n\n## Sources\n\n## Sources"
    page = Tags(make_handouts.handout(lesson(nbformat.v4.new_markdown_cell(text))))
    headings = [attributes.get("id") for tag, attributes in page.tags if tag in ("h1", "h2")]
    assert headings == ["99-·-A-<-B", "2.-WO,-view-&-more", "Sources", None]


def test_an_output_that_is_hidden_until_its_cell_is_run_is_folded_in_a_handout():
    outputs = [[nbformat.v4.new_output("execute_result", {"text/plain": text})] for text in ("answer", "seen")]
    hidden, seen, silent = (nbformat.v4.new_code_cell("1", outputs=o) for o in (*outputs, []))
    hidden.metadata.jupyter = silent.metadata.jupyter = {"outputs_hidden": True}
    page = make_handouts.handout(lesson(hidden, seen, silent))
    (fold,) = re.findall(r"<details class=\"answer\">.*?</details>", page, re.S)
    assert "Predict first, then open" in fold and "answer" in fold and "seen" not in fold


def test_an_explorer_in_a_handout_has_the_bytes_that_its_kernel_sent():
    explorer = trained()
    state, picture = explorer.get_state(), explorer._repr_mimebundle_()[0]
    sent = {
        "state": {**state, "_recordings": [{**r, "weights": None} for r in state["_recordings"]]},
        "buffers": [
            {"path": ["_recordings", i, "weights"], "data": base64.b64encode(r["weights"]).decode()}
            for i, r in enumerate(state["_recordings"])
        ],
    }
    output = nbformat.v4.new_output("display_data", picture)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    layout = {"state": {"_model_name": "LayoutModel"}}
    models = {"state": {explorer.model_id: sent, "another": layout}}
    page = Tags(make_handouts.handout(lesson(cell, widgets={make_handouts.STATE: models})))
    assert [a["data-model"] for tag, a in page.tags if "data-model" in a] == [explorer.model_id]
    assert len(states(page)) == 1
    weights = states(page)[0]["_recordings"][0]["weights"]["base64"]
    assert base64.b64decode(weights) == explorer._recordings[0]["weights"]


def test_no_lesson_uses_latex_which_a_handout_could_not_set():
    for path in run_notebooks.LESSONS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                prose = re.sub(r"`[^`]*`", "", cell.source)
                assert not re.search(r"\$|\\\(|\\\[|\\begin", prose), f"{path.name}: {cell.source}"


def test_a_lesson_that_does_not_exist_is_answered_in_words(capsys):
    with pytest.raises(SystemExit):
        make_handouts.main(["99"])
    assert "no lesson begins with 99; there are 00_start_here, 01_" in capsys.readouterr().err
