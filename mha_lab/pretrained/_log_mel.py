"""What Whisper hears: the loudness of a sound in 80 bands of pitch, a hundred times a second (Radford 2022, 2.2)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 16_000  # samples a second
SECONDS = 30  # the model hears pieces of exactly this length; shorter ones are filled up with silence
_WINDOW, _STEP, _BANDS = 400, 160, 80  # 25 ms, 10 ms


def log_mel(samples: Tensor) -> Tensor:
    """Samples (B, up to 480,000) at 16 kHz, between −1 and 1 → (B, 80, 3000): brightness −1 … 2 of band and moment."""
    samples = F.pad(samples, (0, RATE * SECONDS - samples.shape[-1]))
    window = torch.hann_window(_WINDOW, dtype=samples.dtype, device=samples.device)
    waves = torch.stft(samples, _WINDOW, _STEP, window=window, return_complex=True)
    energy = waves[..., :-1].abs() ** 2
    loudness = (mel_bands().to(energy) @ energy).clamp(min=1e-10).log10()
    loudest = loudness.amax(dim=(-2, -1), keepdim=True)
    return (loudness.maximum(loudest - 8) + 4) / 4


def mel_bands() -> Tensor:
    """(80, 201) float64: the share of each frequency of the Fourier transform in each band: triangles of equal area
    whose corners lie evenly on the mel scale of Slaney's Auditory Toolbox (1998)."""
    frequency = torch.linspace(0, RATE / 2, _WINDOW // 2 + 1, dtype=torch.float64)
    corner = _hertz(torch.linspace(0, _mel(RATE / 2), _BANDS + 2, dtype=torch.float64))
    low, middle, high = (corner[i : i + _BANDS, None] for i in range(3))
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    return rising.minimum(falling).clamp(min=0) * 2 / (high - low)


# 15 mels to 1,000 Hz in even steps; above, a step is a ratio: 27 mels for a factor of 6.4.
_PER_MEL, _KNEE = 200 / 3, 15.0
_RATIO = math.log(6.4) / 27


def _mel(hertz):
    return _KNEE + math.log(hertz / 1000) / _RATIO  # of 1,000 Hz and above


def _hertz(mel):
    return torch.where(mel < _KNEE, mel * _PER_MEL, 1000 * ((mel - _KNEE) * _RATIO).exp())
