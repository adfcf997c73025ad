"""The static host: explorers in an HTML page of their own, alive without a kernel, a server or a network."""

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path

from mha_lab import _data, _page

HERE = _data.PACKAGE / "widgets/static"
PROTOCOL = re.compile(r"_(model|view|dom)_\w+|_esm|_css|_anywidget_id|layout|tabbable|tooltip")  # no state of ours
WITHOUT_KERNEL = {
    "can_read": False,
    "can_predict": False,
    "how_to_read": "This page has no kernel. To read your own sentence, open the notebook in JupyterLab.",
}
"""Traits that say what a kernel offers: what they say where there is none."""

# Everything a page needs is in it, and the browser itself refuses to fetch anything else, to send a form anywhere, and
# to run any script but the one with this hash, which brings the explorers to life, from blobs that only it can make.
SELF_CONTAINED = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}' blob:"
)


def save_html(self, path: str | Path, *, title: str | None = None) -> Path:
    """Save the explorer, alive, as one HTML page that opens from disk; the path is returned.

    The page holds the present state and fetches nothing. What needs a kernel says so; the rest answers as here. Where
    no script runs, and in print, the explorer's picture stands.

    Raises ValueError for a path that does not end in .html, OSError where the file cannot be written."""
    # TrueOrFalse → True Or False, KVCacheExplorer → KV Cache Explorer
    title = title or re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", type(self).__name__)
    body = f"<h1>{escape(title)}</h1>\n{host(self.model_id, *self._repr_mimebundle_())}"
    return _page.write(path, document(title, body, {self.model_id: self.get_state()}))


def host(model_id: str, data: dict, metadata: dict) -> str:
    """The place of one view in a page, holding what its mime bundle has for pages without scripts."""
    text = escape(data.get("text/plain", ""))
    if "image/png" in data:
        width = metadata.get("image/png", {}).get("width", "")
        still = f'<img src="data:image/png;base64,{data["image/png"].strip()}" width="{width}" alt="{text}">'
    else:
        still = data.get("text/html") or f"<p>{text}</p>"
    return f'<div class="mha-host" data-model="{model_id}"><div class="mha-still">{still}</div></div>'


def document(title: str, body: str, states: dict[str, dict], *, style: str = "", page: str = "saved_page") -> str:
    """A whole page: `body`, whose hosts come to life from `states`, {model id: a widget's state with its bytes}.

    A module is in the page once, however many explorers it draws. `page` names the bundle that wakes them: a page that
    scrolls, or slides."""
    modules, styles, models = {}, {}, {}
    for model_id, state in states.items():
        kind = state["_anywidget_id"]
        modules[kind], styles[kind] = state["_esm"], state["_css"]
        own = {name: value for name, value in state.items() if not PROTOCOL.fullmatch(name)}
        own |= {name: value for name, value in WITHOUT_KERNEL.items() if name in own}
        models[model_id] = {"module": kind, "state": own}
    script = "\n" + (HERE / f"{page}.js").read_text(encoding="utf-8")
    policy = SELF_CONTAINED.format(hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode())
    css = "\n".join([(HERE / f"{page}.css").read_text(encoding="utf-8"), style, *styles.values()])
    return _page.whole(
        title,
        f"""<main>
{body}
</main>
<script type="application/json" id="mha-explorers">{_json({"modules": modules, "models": models})}</script>
<script type="module">{script}</script>""",
        css,
        policy,
    )


def _json(value) -> str:
    """JSON that no HTML parser can mistake for markup, whatever a token holds. Bytes become {"base64": …}."""
    text = json.dumps(value, default=lambda data: {"base64": base64.b64encode(data).decode()})
    return text.replace("<", "\\u003c")
