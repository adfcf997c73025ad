"""Memory and time of attention on long texts, and what stacks of windows learn: writes long_sequences.npz (lesson 10).

    .venv/bin/python data/record_long_sequences.py costs     (about 5 minutes of one core that does nothing else)
    .venv/bin/python data/record_long_sequences.py relays    (about 6 minutes of one core)

Both parts unless one is named; the rest of the file stays. Each training of the relays is kept in
build/relays.jsonl as it ends: after an interrupt, the same command goes on from there. The bytes differ each time, for
they are measurements and trainings. So this also writes the new checksum where it is verified
(mha_lab/long_sequences.py) and named (data/README.md). What is inside the file: data/README.md.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch

from mha_lab import _whole, long_sequences, measure, tasks, train
from mha_lab.long_sequences import PATHS, RECORDED, RECORDED_SHA256, Relay, predicted_seconds
from mha_lab.models.relays import KINDS, Stack

README = Path(__file__).with_name("README.md")
KEPT = Path(__file__).parents[1] / "build" / "relays.jsonl"
RELAYS = [
    *((kind, 1200, 3e-3, seed) for seed in range(2) for kind in KINDS if kind != "four windows of 16, MLPs"),
    ("four windows of 16, MLPs", 1200, 3e-3, 0),
]
"""Kind of stack, steps, learning rate, seed."""


def record_costs():
    """Bytes and seconds: what `long_sequences.save` takes."""
    for n, decoding in long_sequences.measure_decoding():
        steps = f"step {decoding.step[n] * 1e3:.2f} ms, sliding {decoding.window[n] * 1e3:.2f} ms"
        print(f"{n:6,} tokens: prefill {decoding.prefill[n] * 1e3:.1f} ms, {steps}", flush=True)
    for n, found in long_sequences.measure_ways():
        for path in PATHS:
            if (path, n) in found.seconds:
                ratio = found.seconds[path, n] / predicted_seconds(found.machine, path, n)
                size, time = found.peak[path, n] / 2**20, found.seconds[path, n] * 1e3
                print(f"{n:6,} tokens, {path:8}: {size:7.1f} MiB {time:9.1f} ms, {ratio:.2f} × predicted", flush=True)
    return found, decoding


def train_relay(kind, steps, lr, seed):
    """Shares of right answers: the token before, a name, a name defined more than a window of 16 before."""
    contract = tasks.document(64, 6)
    windows, mlp = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Stack(contract, windows, mlp=mlp)
    train.fit_whole(model, contract.draw, steps=steps, batch_size=16, lr=lr, seed=seed, progress=False)
    test = contract.draw(300, torch.Generator().manual_seed(1000))
    near, far = model.accuracy(test).tolist()
    return [near, far, model.right_beyond(test, 15)]


def record_relays():
    """One row for each training: what `long_sequences.save` takes."""
    KEPT.parent.mkdir(exist_ok=True)
    kept = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    done = {tuple(row[:4]): row[4:] for row in kept}
    for recipe in RELAYS:
        if recipe not in done:
            with measure.single_thread():
                done[recipe] = train_relay(*recipe)
            _whole.write(KEPT, "".join(json.dumps([*row, *right]) + "\n" for row, right in done.items()))
        print(*recipe, *(f"{right:.3f}" for right in done[recipe]), flush=True)
    return [Relay(*recipe, *done[recipe]) for recipe in RELAYS]


def main(parts):
    found, decoding = record_costs() if "costs" in parts else long_sequences.recorded()
    relays = record_relays() if "relays" in parts else long_sequences.recorded_relays()
    long_sequences.save(found, decoding, relays)
    digest = hashlib.sha256(RECORDED.read_bytes()).hexdigest()
    for path in Path(long_sequences.__file__), README:
        _whole.write(path, path.read_text(encoding="utf-8").replace(RECORDED_SHA256, digest))
    print(f"{RECORDED}: {RECORDED.stat().st_size:,} bytes, sha256 {digest}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["costs", "relays"])
