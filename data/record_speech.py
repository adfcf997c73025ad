"""Let espeak-ng say a sentence of ours, as the 16 kHz sound that Whisper takes: mha_lab/data/speech.wav.

apt-get install espeak-ng
.venv/bin/python data/record_speech.py       (prints the checksum that mha_lab/pretrained/recordings.py verifies)
"""

import hashlib
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from mha_lab import _whole
from mha_lab.pretrained.recordings import SPEECH

SENTENCE = "The trophy did not fit in the suitcase because it was too big."


def record(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "150", "-w", spoken, SENTENCE], check=True)
        with wave.open(str(spoken)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22050, 1, 2)
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    samples = resample_poly(samples.astype(float), 320, 441)  # 22,050 Hz to 16,000
    with _whole.beside(path) as partial, wave.open(str(partial), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.round().clip(-32768, 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SPEECH
    record(target)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target.name}  {target.stat().st_size:,} bytes")
