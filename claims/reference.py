"""SmolLM2 as transformers builds it: what the claims, the reference tests and the benchmarks compare ours with."""

from importlib.metadata import distribution

from torch import nn

from mha_lab.pretrained import llama


def smollm2() -> nn.Module:
    """transformers' own model with the weights that its own code reads from the same file, ready to answer.

    Nothing of it is taken from ours, the sizes included. Raises ImportError where transformers is absent."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    theirs = LlamaForCausalLM(config)
    path = distribution(llama.PACKAGE).locate_file(llama.FOLDER) / llama.GGUF
    weights = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=theirs)["tensors"]
    missing, unexpected = theirs.load_state_dict(weights, strict=False, assign=True)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    theirs.tie_weights()
    return theirs.eval().requires_grad_(False)
