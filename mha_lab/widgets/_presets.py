"""What the explorers' pages need of a published model: its layers, one by one and by their kind, and its source."""

from dataclasses import asdict

from mha_lab.published import LAYERS, Model, layer_kinds, layers_in_words, shelf, source_in_words


def preset(m: Model) -> dict[str, object]:
    """Of a model whose layers are known: name, shelf, source; every layer's letter, how many of the last ones share
    their keys, and each kind of layer with what it looks at and keeps."""
    return {
        "name": m.name,
        "group": shelf(m),
        "source": source_in_words(m),
        "layers": layers_in_words(m),
        "pattern": m.kinds,
        "shared": m.shared_layers,
        "kinds": [asdict(kind) | {"words": _in_words(m, kind)} for kind in layer_kinds(m)],
    }


def _in_words(m, kind):
    words = LAYERS[kind.letter]
    if m.latent and kind.letter in "GN":
        words += ", latent"
    if kind.letter in "LKH":
        words += f" ({m.window:,} tokens)" if kind.letter == "L" else f" (and {m.window:,} tokens)"
    if kind.picked:
        words += f", {kind.picked:,} keys picked"
    return words + (", keys of an earlier layer" if kind.shared else "")
