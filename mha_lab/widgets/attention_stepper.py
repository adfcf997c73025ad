"""AttentionStepper: how one query becomes one output: q·k → scale → mask → softmax → Σ w·v, and W^O over all heads."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
import traitlets

from mha_lab.attention import attention
from mha_lab.widgets._base import STATIC, Between, Explorer, Whole, allowed_cells, numbers, plural, words
from mha_lab.widgets._stepper_picture import draw_stages, draw_sum

MOST_TOKENS, MOST_HEADS, MOST_WIDE = 32, 32, 128


class AttentionStepper(Explorer):
    """One query row of attention, stage by stage, with every number beside its word.

        AttentionStepper(query, key, value, ["trophy", "suitcase", "it"], position=2)  # query, key, value (N, K)
        AttentionStepper(query, key, value, words, w_o=w_o)  # (H, N, K), and a sixth stage: the heads through W^O

    Every state is a trait, to be set or observed from Python: position (the token that looks), head (the one whose
    stages are shown), stage (1 to 5, with w_o to 6: how much is uncovered), temperature (scores are divided by
    √K · temperature; 1 is attention as published), causal, hovered (the key whose arithmetic is written out, -1 for the
    one with the largest weight) and feature (the column of W^O whose sum is written out, -1 for the one to which the
    heads add most).
    """

    _esm = STATIC / "attention_stepper.js"
    _css = STATIC / "attention_stepper.css"

    fixed = (
        *("tokens", "features", "num_heads", "d_head", "d_value"),
        *("_query", "_key", "_value", "_mask", "_w_o"),
    )

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    features = traitlets.List(traitlets.Unicode()).tag(sync=True)  # none without w_o
    position = Whole(0).tag(sync=True)
    head = Whole(0).tag(sync=True)
    stage = Whole(5).tag(sync=True)
    temperature = Between(1.0, 0.001, 1000).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    hovered = Whole(-1).tag(sync=True)
    feature = Whole(-1).tag(sync=True)
    num_heads = Whole(1).tag(sync=True)
    d_head = Whole(1).tag(sync=True)
    d_value = Whole(1).tag(sync=True)
    _query = traitlets.Bytes().tag(sync=True)  # float32 (H, N, K)
    _key = traitlets.Bytes().tag(sync=True)
    _value = traitlets.Bytes().tag(sync=True)  # (H, N, width)
    _mask = traitlets.Bytes().tag(sync=True)  # (N, N), 1 = may attend; empty when all may
    _w_o = traitlets.Bytes().tag(sync=True)  # float32 (H·width, D); empty without

    def __init__(
        self,
        query,
        key,
        value,
        tokens: Sequence[str],
        *,
        w_o=None,
        features: Sequence[str] | None = None,
        position: int = 0,
        head: int = 0,
        stage: int | None = None,
        temperature: float = 1.0,
        causal: bool = False,
        mask=None,
    ):
        """query and key (N, K), value (N, width) of N tokens, or (H, N, K) and (H, N, width) for H heads; w_o
        (H·width, D) with head i's rows at i·width … (i+1)·width, and features to name its columns; mask (N, N) boolean,
        True = may attend.
        All stages are uncovered unless stage is given. A bias of W^O is no head's and is left out.

        Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean."""
        query, key = (numbers(name, data, "(N, K) or (H, N, K)") for name, data in (("query", query), ("key", key)))
        value = numbers("value", value, "(N, width) or (H, N, width)")
        if query.shape != key.shape:
            raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
        if key.shape[:-1] != value.shape[:-1]:
            raise ValueError(f"key has shape {key.shape} and value {value.shape}: each key needs its value.")
        (n, width), d_value = query.shape[-2:], value.shape[-1]
        H = len(query) if query.ndim == 3 else 1
        if not (1 <= n <= MOST_TOKENS and 1 <= H <= MOST_HEADS):
            raise ValueError(
                f"{plural(n, 'token')} and {plural(H, 'head')}: the stepper shows 1 to {MOST_TOKENS} and "
                f"1 to {MOST_HEADS}."
            )
        if not (1 <= width <= MOST_WIDE and 1 <= d_value <= MOST_WIDE):
            raise ValueError(
                f"keys of width {width} and values of width {d_value}: the stepper shows 1 to {MOST_WIDE}."
            )
        tokens = words(tokens, n, "rows of query, key and value")
        mask = allowed_cells(mask, (n, n))
        w_o, features = _mixing(w_o, features, H, d_value)
        super().__init__(
            tokens=tokens,
            features=features,
            num_heads=H,
            d_head=width,
            d_value=d_value,
            _query=query.tobytes(),
            _key=key.tobytes(),
            _value=value.tobytes(),
            _mask=b"" if mask is None else mask.astype(np.uint8).tobytes(),
            _w_o=w_o.tobytes(),
            position=position,
            head=head,
            stage=(6 if features else 5) if stage is None else stage,
            temperature=temperature,
            causal=causal,
        )

    @property
    def stages(self) -> dict[str, np.ndarray]:
        """What the browser shows, computed here: the present head's scores, scaled, allowed and weights (N,),
        terms (N, width) and output (width,); with w_o also every head's looks (its weights, (H, N)), outputs
        (H, width) and shares (H, D), and their total (D,)."""
        n, row, head, D = len(self.tokens), self.position, self.head, len(self.features)
        sent = self._query, self._key, self._value
        query, key, value = (np.frombuffer(x, np.float32).reshape(self.num_heads, n, -1).astype(float) for x in sent)
        mask = np.frombuffer(self._mask or bytes([1] * n * n), np.uint8).reshape(n, n)
        allowed = mask[row].astype(bool)
        if self.causal:
            allowed = allowed & (np.arange(n) <= row)
        scale = 1 / (sqrt(self.d_head) * self.temperature)
        tensors = (torch.from_numpy(data) for data in (query[:, [row]], key, value))
        mixed = attention(*tensors, scale=scale, mask=torch.from_numpy(allowed[None]))
        outputs, weights = (data[:, 0].numpy() for data in mixed)  # (H, width), (H, N)
        scores = key[head] @ query[head, row]
        now = {
            "scores": scores,
            "scaled": scores * scale,
            "allowed": allowed,
            "weights": weights[head],
            "terms": weights[head][:, None] * value[head],
            "output": outputs[head],
        }
        if not D:
            return now
        w_o = np.frombuffer(self._w_o, np.float32).reshape(self.num_heads, -1, D).astype(float)
        shares = np.einsum("hv,hvd->hd", outputs, w_o)
        return now | {"looks": weights, "outputs": outputs, "shares": shares, "total": shares.sum(axis=0)}

    def picture(self) -> tuple[bytes, int]:
        """The stages uncovered so far as PNG, and its width in CSS pixels."""
        return draw_sum(self) if self.stage == 6 else draw_stages(self)

    def __repr__(self):
        heads = "" if self.num_heads == 1 else f"{self.num_heads} heads of "
        mixed = f", W^O to {plural(len(self.features), 'feature')}" if self.features else ""
        shape = f"{plural(len(self.tokens), 'token')}, {heads}d_head {self.d_head}{mixed}"
        return f"AttentionStepper({shape}; {self.tokens[self.position]!r} looks)"

    @traitlets.validate("position")
    def _position_exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.tokens):
            raise traitlets.TraitError(f"position={proposal['value']}: the tokens are 0 to {len(self.tokens) - 1}.")
        return proposal["value"]

    @traitlets.validate("head")
    def _head_exists(self, proposal):
        if not 0 <= proposal["value"] < self.num_heads:
            raise traitlets.TraitError(f"head={proposal['value']}: the heads are 0 to {self.num_heads - 1}.")
        return proposal["value"]

    @traitlets.validate("stage")
    def _stage_exists(self, proposal):
        last = "6" if self.features else "5 (with w_o there is a sixth)"
        if not 1 <= proposal["value"] <= int(last[0]):
            raise traitlets.TraitError(f"stage={proposal['value']}: the stages are 1 to {last}.")
        return proposal["value"]

    @traitlets.validate("hovered", "feature")
    def _pointed_exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        things = {"hovered": self.tokens, "feature": self.features}[name]
        if not -1 <= value < len(things):
            last = len(things) - 1
            raise traitlets.TraitError(
                f"{name}={value}: {'it must be' if last < 0 else f'0 to {last}, or'} -1 for none."
            )
        return value


def _mixing(w_o, features, H: int, width: int) -> tuple[np.ndarray, list[str]]:
    """W^O (H·width, D) and the names of its columns; both empty without W^O."""
    if w_o is None:
        if features is not None:
            raise ValueError("features names the columns of w_o, and there is no w_o.")
        return np.zeros((0, 0), np.float32), []
    w_o = numbers("w_o", w_o, "(H·width, D)")
    rows, D = w_o.shape
    if rows != H * width:
        raise ValueError(
            f"w_o has shape {w_o.shape}: {plural(H, 'head')} with values of width {width} need {H * width} rows."
        )
    if not 1 <= D <= MOST_WIDE:
        raise ValueError(f"w_o has {D} columns: the stepper shows 1 to {MOST_WIDE} features.")
    features = [str(i) for i in range(D)] if features is None else list(features)
    if len(features) != D:
        raise ValueError(f"there are {len(features)} names of features and {D} columns of w_o: they must be equal.")
    return w_o, features
