"""Memory and time of attention on long texts, on this machine: writes long_sequences.npz, for lesson 10.

    .venv/bin/python data/record_long_sequences.py     (about 5 minutes of one core; best while it does nothing else)

The bytes differ each time, for they are measurements. So this also writes the new checksum where it is verified
(mha_lab/long_sequences.py) and named (data/README.md). What is inside the file: data/README.md.
"""

import hashlib
from pathlib import Path

from mha_lab import _whole, long_sequences
from mha_lab.long_sequences import PATHS, RECORDED, RECORDED_SHA256, predicted_seconds

README = Path(__file__).with_name("README.md")


def main():
    for n, decoding in long_sequences.measure_decoding():
        steps = f"step {decoding.step[n] * 1e3:.2f} ms, sliding {decoding.window[n] * 1e3:.2f} ms"
        print(f"{n:6,} tokens: prefill {decoding.prefill[n] * 1e3:.1f} ms, {steps}", flush=True)
    for n, found in long_sequences.measure_ways():
        for path in PATHS:
            if (path, n) in found.seconds:
                ratio = found.seconds[path, n] / predicted_seconds(found.machine, path, n)
                size, time = found.peak[path, n] / 2**20, found.seconds[path, n] * 1e3
                print(f"{n:6,} tokens, {path:8}: {size:7.1f} MiB {time:9.1f} ms, {ratio:.2f} × predicted", flush=True)
    long_sequences.save(found, decoding)
    digest = hashlib.sha256(RECORDED.read_bytes()).hexdigest()
    for path in Path(long_sequences.__file__), README:
        _whole.write(path, path.read_text(encoding="utf-8").replace(RECORDED_SHA256, digest))
    print(f"{RECORDED}: {RECORDED.stat().st_size:,} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
