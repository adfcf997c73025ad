"""What people are shown: a tensor's numbers, where they can be looked at, and fonts for Chinese letters.

Matplotlib is imported where a font is asked for, and no sooner: the explorers do without it.
"""

import re
from contextlib import suppress
from functools import cache

WIDE = re.compile("[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""A Chinese, Japanese or Korean letter."""

WIDE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),  # Linux
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans GB", "Heiti SC", "Songti SC", "STHeiti", "Arial Unicode MS"),  # macOS
    *("Microsoft YaHei", "SimHei", "DengXian", "SimSun"),  # Windows
)
"""Fonts with such letters that systems bring, the ones first whose forms are those of mainland China."""


def plain(data):
    """A tensor, an array, or lists of them, for NumPy; without gradients, and numbers of 8 or 16 bits as float32:
    NumPy has no bfloat16. Raises ValueError for a tensor that has a shape and no numbers."""
    if isinstance(data, list | tuple):
        return [plain(each) for each in data]
    if not hasattr(data, "detach"):
        return data
    if data.is_meta:
        raise ValueError(f"a tensor of shape {tuple(data.shape)} on the device meta has no numbers")
    if data.is_floating_point() and data.element_size() < 4:
        data = data.float()
    return data.to_dense().numpy(force=True) if data.is_sparse else data.numpy(force=True)


def readable(tensor) -> bool:
    """Whether a tensor's numbers can be looked at now: not while a compiler or a transform (torch.func) is at work, nor
    where it has a shape and no numbers."""
    import torch

    transformed = torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None
    return not (transformed or tensor.is_meta or type(tensor) not in (torch.Tensor, torch.nn.Parameter))


@cache
def wide_fonts() -> dict[str, tuple[str, int]]:
    """{family: (file, face in it)} of those of `WIDE_FONTS` that are installed, in that order."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    if not (found := _listed(fontManager)):
        # Matplotlib keeps its list from the first time that it was needed: a font may have been installed since.
        for path in sorted(set(findSystemFonts()) - {entry.fname for entry in fontManager.ttflist}):
            with suppress(Exception):  # a broken file, or a kind that Matplotlib does not read: not the one we look for
                fontManager.addfont(path)
        found = _listed(fontManager)
    return found


def _listed(manager) -> dict[str, tuple[str, int]]:
    entries = sorted(manager.ttflist, key=lambda entry: entry.weight == 400)  # the regular ones last: they stay
    installed = {entry.name: (entry.fname, getattr(entry, "index", 0)) for entry in entries}
    return {name: installed[name] for name in WIDE_FONTS if name in installed}
