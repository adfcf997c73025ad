"""Time lesson 09's two models at three widths, one sentence at a time and 32 together: writes intent_speed.npz.

    .venv/bin/python data/record_intent_speed.py      (about a minute of one core; prints the checksum)

Thread times of one thread; the models take turns, so that drift of the machine hits all alike. What is inside the file:
data/README.md.
"""

import hashlib
from functools import partial

import numpy as np

from mha_lab import _data, _whole, measure
from mha_lab.models.widths import answering, of_width, training

TARGET = _data.FOLDER / "intent_speed.npz"
WIDTHS = {64: 4, 256: 4, 512: 8}  # d_model, and how many heads
ANSWERS = [(1, 16), (1, 64), (1, 256), (32, 16), (32, 64)]  # sentences at a time, and tokens in each
STEPS = [(32, 48)]


def times():
    """Every (what, model, d_model, batch, tokens, seconds)."""
    for d_model, num_heads in WIDTHS.items():
        pair = of_width(d_model, num_heads)
        unequal = partial(training, unequal=True)
        kinds = ("answers", answering, ANSWERS), ("steps", training, STEPS), ("unequal steps", unequal, STEPS)
        for what, make, cells in kinds:
            for cell in cells:
                took = measure.compare(make(pair, *cell), repeats=41, budget=4.0)
                print(what, d_model, *cell, *(f"{name}: {each};" for name, each in took.items()), flush=True)
                for name, each in took.items():
                    yield what, name, d_model, *cell, (each.q1, each.median, each.q3)


def main():
    with measure.single_thread():
        columns = list(map(np.array, zip(*times())))
    arrays = dict(zip(("what", "model", "d_model", "batch", "tokens", "seconds"), columns))
    arrays |= {"widths": np.array(list(WIDTHS)), "heads": np.array(list(WIDTHS.values()))}
    arrays["machine"] = np.array(measure.processor())
    with _whole.beside(TARGET) as partial_file, partial_file.open("wb") as file:
        np.savez(file, **arrays)
    print(TARGET.name, TARGET.stat().st_size, "bytes", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
