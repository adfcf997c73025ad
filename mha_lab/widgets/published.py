"""Published models: the sizes that decide what their attention costs, and where each is published."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Model:
    """One attention layer of a model, how many there are, and how long a text it is published for."""

    name: str
    layers: int
    d_model: int
    num_heads: int
    num_kv_heads: int
    d_head: int
    context: int
    """Tokens of the longest text."""
    source: str
    bias: bool | Literal["QKV"] = False
    """Whether the projections have biases; "QKV": all but W^O."""
    window: int = 0
    """Tokens that a layer sees and keeps at most (sliding window); 0: all."""
    latent: int = 0
    """Numbers a token and layer that stand for all keys and values (latent attention); 0: keys and values are kept."""
    decoder: bool = True
    """Whether it writes token by token, with a cache."""


MODELS = (
    Model(
        name="GPT-2 small",
        layers=12,
        d_model=768,
        num_heads=12,
        num_kv_heads=12,
        d_head=64,
        context=1024,
        source="Radford 2019; default_hparams in src/model.py of openai/gpt-2",
        bias=True,
    ),
    Model(
        name="BERT-base",
        layers=12,
        d_model=768,
        num_heads=12,
        num_kv_heads=12,
        d_head=64,
        context=512,
        source="Devlin 2018, arXiv:1810.04805, section 3; BertConfig in modeling.py of google-research/bert",
        bias=True,
        decoder=False,
    ),
    Model(
        name="SmolLM2-135M",
        layers=30,
        d_model=576,
        num_heads=9,
        num_kv_heads=3,
        d_head=64,
        context=8192,
        source="Allal 2025, arXiv:2502.02737; config.json of HuggingFaceTB/SmolLM2-135M",
    ),
    Model(
        name="Qwen2.5-7B",
        layers=28,
        d_model=3584,
        num_heads=28,
        num_kv_heads=4,
        d_head=128,
        context=131_072,
        source="Qwen 2024, arXiv:2412.15115, table 1; config.json of Qwen/Qwen2.5-7B",
        bias="QKV",
    ),
    Model(
        name="Mistral-7B",
        layers=32,
        d_model=4096,
        num_heads=32,
        num_kv_heads=8,
        d_head=128,
        context=8192,
        source="Jiang 2023, arXiv:2310.06825, table 1; params.json of Mistral-7B-v0.1",
        window=4096,
    ),
    Model(
        name="Llama-3-8B",
        layers=32,
        d_model=4096,
        num_heads=32,
        num_kv_heads=8,
        d_head=128,
        context=8192,
        source="Grattafiori 2024, arXiv:2407.21783, table 3; config.json of meta-llama/Meta-Llama-3-8B",
    ),
    Model(
        name="DeepSeek-V2",
        layers=60,
        d_model=5120,
        num_heads=128,
        num_kv_heads=128,
        d_head=128,
        context=131_072,
        source="DeepSeek-AI 2024, arXiv:2405.04434, section 3.1.2; config_236B.json in deepseek-ai/DeepSeek-V3",
        latent=512 + 64,  # the compressed keys and values, and one key with the positions for all heads
    ),
)
