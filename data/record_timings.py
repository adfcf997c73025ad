"""Time every head count of a layer of d_model 384 on this machine: writes timings.json.

    .venv/bin/python data/record_timings.py       (half a minute; best while the machine does nothing else)

The bytes differ each time, for they are measurements. So this also writes the new checksum where it is verified
(mha_lab/widgets/_timings.py) and named (data/README.md). What is inside the file: data/README.md.
"""

import hashlib
import json
from collections import deque
from pathlib import Path

from mha_lab import _whole
from mha_lab.widgets import _timings

D_MODEL = 384  # the recorded projection of lessons 00 and 02
README = Path(__file__).with_name("README.md")


def main():
    results = []
    for num_tokens in _timings.TOKENS:
        result, *_ = deque(_timings.measure_heads(D_MODEL, num_tokens, device="cpu"), maxlen=1).pop()  # the last
        results.append({**result, "recorded": True})
        print(f"{num_tokens} tokens: {len(result['rows'])} timings")
    rows = ",\n".join(json.dumps(result) for result in results)
    _whole.write(_timings.RECORDED, f"[{rows}]\n")
    content = _timings.RECORDED.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for path in Path(_timings.__file__), README:
        text = path.read_text(encoding="utf-8").replace(_timings.RECORDED_SHA256, digest)
        _whole.write(path, text)
    print(f"{_timings.RECORDED}: {len(content):,} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
