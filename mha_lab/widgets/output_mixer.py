"""OutputMixer: Concat · W^O as the sum of what every head adds; heads are switched on and off."""

from collections.abc import Sequence

import numpy as np
import traitlets

from mha_lab import _door
from mha_lab.widgets._base import STATIC, Explorer, Whole, numbers, plural, shown_words, words
from mha_lab.widgets._picture import LINE, Page

MOST_HEADS, MOST_WIDE = 32, 128


class OutputMixer(Explorer):
    """One token's output as a sum over heads: each head's row is headᵢ · W^Oᵢ, the last row adds those that are on.

        OutputMixer(head_outputs, w_o, ["trophy", "suitcase", "it"], position=2)

    Every state is a trait, to be set or observed from Python: position (the token), active (the heads that are on, as a
    list of numbers) and hovered (the feature whose sum is written out, -1 for the one to which heads add most).
    """

    _esm = STATIC / "output_mixer.js"
    _css = STATIC / "output_mixer.css"

    fixed = "tokens", "features", "num_heads", "_heads", "_w_o"

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    features = traitlets.List(traitlets.Unicode()).tag(sync=True)
    position = Whole(0).tag(sync=True)
    active = traitlets.List(Whole()).tag(sync=True)
    hovered = Whole(-1).tag(sync=True)
    num_heads = Whole(1).tag(sync=True)
    _heads = traitlets.Bytes().tag(sync=True)  # float32 (H, N, K)
    _w_o = traitlets.Bytes().tag(sync=True)  # float32 (H·K, D)

    def __init__(
        self,
        head_outputs,
        w_o,
        tokens: Sequence[str],
        *,
        features: Sequence[str] | None = None,
        position: int = 0,
        active: Sequence[int] | None = None,
    ):
        """head_outputs (H, N, K) of N tokens, w_o (H·K, D) with head i's rows at i·K … (i+1)·K; features names the D
        columns; active is all heads unless given. A bias is no head's and is left out.

        Raises ValueError for shapes that do not fit."""
        heads, w_o = numbers("head_outputs", head_outputs, "(H, N, K)"), numbers("w_o", w_o, "(H·K, D)")
        H, N, K = heads.shape
        if 0 in heads.shape or w_o.shape[0] != H * K:
            raise ValueError(
                f"head_outputs has shape {heads.shape} and w_o {w_o.shape}: "
                f"{plural(H, 'head')} of width {K} must have {plural(H * K, 'row')} in w_o."
            )
        D = w_o.shape[1]
        if H > MOST_HEADS or not 1 <= D <= MOST_WIDE:
            what = f"{plural(H, 'head')} and {plural(D, 'feature')}"
            raise ValueError(f"{what}: the mixer shows up to {MOST_HEADS} and 1 to {MOST_WIDE}.")
        features = (
            [str(i) for i in range(D)] if features is None else list(_door.several("features", features, "names"))
        )
        if len(features) != D:
            given = f"features has {plural(len(features), 'name')} and w_o {plural(D, 'column')}"
            raise ValueError(f"{given}: one for each.")
        super().__init__(
            tokens=words(tokens, N, "columns of head_outputs"),
            features=features,
            num_heads=H,
            _heads=heads.tobytes(),
            _w_o=w_o.tobytes(),
            position=position,
            active=list(range(H)) if active is None else list(_door.several("active", active, "heads")),
        )

    @property
    def mix(self) -> dict[str, np.ndarray | float]:
        """What the browser shows, computed here: shares (H, D), sum and full (D,), missing (|full − sum| / |full|)."""
        H, N, D = self.num_heads, len(self.tokens), len(self.features)
        heads = np.frombuffer(self._heads, np.float32).reshape(H, N, -1)[:, self.position].astype(float)
        shares = np.einsum("hk,hkd->hd", heads, np.frombuffer(self._w_o, np.float32).reshape(H, -1, D).astype(float))
        total, full = shares[self.active].sum(axis=0), shares.sum(axis=0)
        size = float(np.linalg.norm(full))
        missing = float(np.linalg.norm(full - total)) / size if size else 0.0
        return {"heads": heads, "shares": shares, "sum": total, "full": full, "missing": missing}

    def picture(self) -> tuple[bytes, int]:
        return _draw(self)

    def __repr__(self):
        on = f"{len(self.active)} of {plural(self.num_heads, 'head')} on"
        return f"OutputMixer({plural(len(self.tokens), 'token')}, {on}; {self.tokens[self.position]!r})"

    @traitlets.validate("position")
    def _position_exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.tokens):
            raise traitlets.TraitError(f"position={proposal['value']}: the tokens are 0 to {len(self.tokens) - 1}.")
        return proposal["value"]

    @traitlets.validate("active")
    def _heads_exist(self, proposal):
        active = sorted(set(proposal["value"]))
        if active and not 0 <= active[0] <= active[-1] < self.num_heads:
            raise traitlets.TraitError(f"active={active}: the heads are 0 to {self.num_heads - 1}.")
        return active

    @traitlets.validate("hovered")
    def _feature_exists(self, proposal):
        if not -1 <= proposal["value"] < len(self.features):
            raise traitlets.TraitError(
                f"hovered={proposal['value']}: the features are 0 to {len(self.features) - 1}, and -1 is none."
            )
        return proposal["value"]


def _draw(mixer: OutputMixer) -> tuple[bytes, int]:
    now, H, D = mixer.mix, mixer.num_heads, len(mixer.features)
    left, top, height = 150, 62, 28
    width = min(96.0, 760 / D)
    page = Page(left + max(D * width, 420) + 10, top + (H + 2) * height + 18)
    state = "this is the output" if len(mixer.active) == H else f"{now['missing']:.0%} of the output is missing"
    word = page.clipped(shown_words(mixer.tokens)[mixer.position], 14, 200)
    page.text(0, 14, f"{word}: {len(mixer.active)} of {plural(H, 'head')} on, {state}", 14, bold=True)
    reach = np.abs(now["shares"]).max() or 1.0
    rows = [(f"head {i}", share, i in mixer.active) for i, share in enumerate(now["shares"])]
    rows += [("sum", now["sum"], True), ("all heads", now["full"], True)]
    for column, name in enumerate(mixer.features) if width >= 14 else ():
        page.text(left + (column + 0.5) * width, 46, page.clipped(name, 12, width - 4), 12, anchor="mm")
    for row, (name, values, on) in enumerate(rows):
        y = top + row * height + (8 if row >= H else 0)
        if row == H:
            page.box(0, y - 5, left + D * width, 1, LINE)
        page.text(left - 12, y + height / 2, name if on else f"{name} (off)", 13, anchor="rm", bold=row == H)
        page.tinted_row(left, y, width, height, values, reach, on=on, bold=row == H)
    return page.finished()
