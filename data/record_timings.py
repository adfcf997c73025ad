"""Time every head count of layers of d_model 384 and 64 on this machine: writes timings.json.

    .venv/bin/python data/record_timings.py         (a minute; best while the machine does nothing else)
    .venv/bin/python data/record_timings.py 64      (this width alone; the others' timings stay)

The bytes differ each time, for they are measurements. So this also writes the new checksum where it is verified
(mha_lab/widgets/_timings.py) and named (data/README.md). What is inside the file: data/README.md.
"""

import hashlib
import json
import sys
from collections import deque
from pathlib import Path

from mha_lab import _whole
from mha_lab.widgets import _timings

D_MODELS = 384, 64  # the recorded projection of lessons 00 and 02; the trained models of lesson 06
README = Path(__file__).with_name("README.md")


def recorded(d_model):
    """An entry for each number of tokens."""
    for num_tokens in _timings.TOKENS:
        result, *_ = deque(_timings.measure_heads(d_model, num_tokens, device="cpu"), maxlen=1).pop()  # the last
        print(f"d_model {d_model}, {num_tokens} tokens: {len(result['rows'])} timings", flush=True)
        yield {**result, "recorded": True}


def kept(d_model):
    """The entries that the file has of this width."""
    return [result for result in json.loads(_timings.RECORDED.read_text()) if result["d_model"] == d_model]


def main(wanted):
    results = [result for d in D_MODELS for result in (recorded(d) if d in wanted else kept(d))]
    rows = ",\n".join(json.dumps(result) for result in results)
    _whole.write(_timings.RECORDED, f"[{rows}]\n")
    content = _timings.RECORDED.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for path in Path(_timings.__file__), README:
        text = path.read_text(encoding="utf-8").replace(_timings.RECORDED_SHA256, digest)
        _whole.write(path, text)
    print(f"{_timings.RECORDED}: {len(content):,} bytes, sha256 {digest}")


if __name__ == "__main__":
    main([int(width) for width in sys.argv[1:]] or D_MODELS)
