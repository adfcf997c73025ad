"""What a learner's function returned: read as arrays of numbers where that is possible, named where it is not."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

PLAIN = (str, int, float)
COUNTED = {2: "pair", 3: "triple"}


def read(value: Any) -> tuple[np.ndarray | None, str]:
    """A tensor, array, number or nested list as an array of booleans or of numbers, and its dtype as the learner
    knows it. (None, "") for anything else; nothing is raised."""
    try:
        array, dtype = _read(value)
    except Exception:  # a meta tensor, a ragged list, an object whose __float__ raises: whatever it is, no numbers
        return None, ""
    return (array, dtype) if array is not None and array.dtype.kind in "biuf" else (None, "")


def _read(value: Any) -> tuple[np.ndarray | None, str]:
    if isinstance(value, torch.Tensor):
        return _of_tensor(value)
    if isinstance(value, np.ma.MaskedArray):
        value = value.filled(0)  # what is masked has no weight
    if isinstance(value, (tuple, list)) and value:
        each = [_read(item) for item in value]
        kinds = {dtype for _, dtype in each}
        array = np.stack([array for array, _ in each])
        return array, kinds.pop() if len(kinds) == 1 else array.dtype.name
    if isinstance(value, str) or value is None or value is ...:
        return None, ""
    array = np.asarray(value)
    if array.dtype == object:  # Fraction, Decimal, a large int, or an array of such
        array = array.astype(float)
    return array, array.dtype.name


def _of_tensor(value: torch.Tensor) -> tuple[np.ndarray, str]:
    value, dtype = value.detach(), str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided:
        value = value.to_dense()
    value = value.cpu()
    known_to_numpy = value.dtype in (torch.bool, torch.float32) or not value.dtype.is_floating_point
    return (value if known_to_numpy else value.double()).resolve_conj().numpy(), dtype


def as_parts(returned: Any, parts: Sequence[Sequence[str]]) -> tuple[tuple[np.ndarray, ...] | None, tuple[str, ...]]:
    """What a function returned as one array for each part, and their dtypes, or (None, ()).

    A number may come as a list of one; a pair within a triple, (output, (keys, values)), is taken as meant."""
    if len(parts) == 1:
        found = None if _one_level_too_deep(returned, parts[0]) else [returned]
    else:
        found = _flat(returned, len(parts))
    if found is None:
        return None, ()
    arrays, dtypes = zip(*map(read, found), strict=True)
    if any(array is None for array in arrays):
        return None, ()
    arrays = tuple(a.reshape(()) if not axes and a.size == 1 else a for a, axes in zip(arrays, parts, strict=True))
    return arrays, dtypes


def _flat(returned: Any, count: int) -> list | None:
    """A tuple or list of `count`, or one whose nested tuples hold so many in all."""
    if not isinstance(returned, (tuple, list)):
        return None
    if len(returned) == count:
        return list(returned)
    flat = [part for each in returned for part in (each if isinstance(each, (tuple, list)) else [each])]
    return flat if len(flat) == count and len(returned) > 1 else None


def _one_level_too_deep(returned: Any, axes: Sequence[str]) -> bool:
    """Whether this is a tuple or list of tensors that each have all the axes: (output,) or (output, weights)."""
    whole = isinstance(returned, (tuple, list)) and len(returned) > 0 and len(axes) > 0
    return whole and all(isinstance(x, torch.Tensor | np.ndarray) and x.ndim == len(axes) for x in returned)


def unreadable(returned: Any, parts: dict[str, Sequence[str]]) -> str:
    """One sentence on what was returned in place of the parts, and what to return."""
    if returned is None:
        return "your function returned nothing: is a `return` missing?"
    if returned is ...:
        return "your function returned `...`: is a blank still to be filled in?"
    thing = f"your function returned {a_thing(returned)}"
    wanted = f"{wanted_words(parts)} was asked for"
    names = ", ".join(_variable(name) for name in parts)
    if inspect.iscoroutine(returned):
        returned.close()
        return f"{thing}: `async def` makes one of every call. What is left if you take `async` away?"
    if isinstance(returned, Iterator):
        return f"{thing}, which has computed nothing yet, and {wanted}. Is there a `yield`, or a `tuple(...)` missing?"
    if isinstance(returned, Mapping) or hasattr(returned, "__dataclass_fields__"):
        keys = f" with {', '.join(map(repr, returned))}" if isinstance(returned, Mapping) and returned else ""
        return f"{thing}{keys}, and {wanted}: can you end with `return {names}`?"
    if callable(returned) and not isinstance(returned, torch.Tensor):
        return f"{thing}, and {wanted}. Is a call, `(...)`, missing in the line that returns?"
    if len(parts) > 1:
        return _not_so_many(returned, thing, wanted, names, parts)
    if isinstance(returned, tuple | list) and len(returned) == 1:
        return f"{thing}, and {wanted}: is there a comma at the end of the line that returns, or a pair of brackets?"
    if hasattr(returned, "values") and hasattr(returned, "indices") and isinstance(returned, tuple):
        name = type(returned).__name__
        return f"your function returned both values and indices of `{name}`, and {wanted}: which of the two is it?"
    if isinstance(returned, tuple) and any(isinstance(each, torch.Tensor | np.ndarray) for each in returned):
        return f"{thing}, and {wanted}: can you return the {next(iter(parts))} alone?"
    return f"{thing}, and {wanted}.{_why_not_numbers(returned)}"


def wanted_words(parts: dict[str, Sequence[str]]) -> str:
    """ "a number", "a tensor", "the pair (output, weights)", "the triple (output, keys, values)" """
    if len(parts) == 1:
        return "a number" if not next(iter(parts.values())) else "a tensor"
    return f"the {COUNTED[len(parts)]} ({', '.join(parts)})"


def _not_so_many(returned: Any, thing: str, wanted: str, names: str, parts: dict) -> str:
    ndims = {len(axes) for axes in parts.values()}
    array = isinstance(returned, torch.Tensor | np.ndarray) and not getattr(returned, "is_nested", False)
    if array and returned.ndim and len(returned) == len(parts) and {returned.ndim - 1} == ndims:
        return (
            f"{thing}, and {wanted}: were they stacked into one? End with `return {names}`, and each keeps its own "
            "shape."
        )
    found = _flat(returned, len(parts))
    if found is None:
        return f"{thing}, and {wanted}."
    place, name, value = next(
        (i, name, value) for i, (name, value) in enumerate(zip(parts, found, strict=True)) if read(value)[0] is None
    )
    what = "None" if value is None else a_thing(value)
    ordinal = ("first", "second", "third")[place]
    return f"your function returned {len(found)} things, and the {ordinal}, `{_variable(name)}`, is {what}; {wanted}."


def _why_not_numbers(returned: Any) -> str:
    if isinstance(returned, (tuple, list)) and any(each is None for each in returned):
        return " One of them is None: what number says so here?"
    if not isinstance(returned, torch.Tensor | np.ndarray):
        return ""
    if isinstance(returned, torch.Tensor) and returned.is_meta:
        return " A tensor on the device “meta” has a shape and no numbers: where did it come from?"
    if getattr(returned, "is_nested", False):
        return " Yours is nested: `torch.nested.to_padded_tensor` makes a plain one."
    return f" Yours holds {str(returned.dtype).removeprefix('torch.')}: how do you get plain numbers?"


def _variable(name: str) -> str:
    return name.replace(" ", "_")


def a_thing(value: Any) -> str:
    """What a value is, in words without an address."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    kind = f"{'an' if name[0] in 'aeiouAEIOU' or name == 'ndarray' else 'a'} {name}"
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"a nested {name}" if getattr(value, "is_nested", False) else f"{kind} of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list) and (len(value) > 4 or not all(isinstance(v, PLAIN) for v in value)):
        return f"{kind} of {len(value)}"
    if isinstance(value, (*PLAIN, tuple, list)):
        said = repr(value)
        return f"the {name} {said if len(said) <= 80 else said[:80] + '…'}"
    return kind
