"""Keys and values of all heads made of one latent (DeepSeek-V2 2024, arXiv:2405.04434, section 2.1)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mha_lab import _door
from mha_lab._fits import check_rotary, check_tokens
from mha_lab.attention import attention, merge_heads, split_heads
from mha_lab.kv_cache import KVCache
from mha_lab.masks import causal_mask
from mha_lab.memory import require_if_large
from mha_lab.rotary import rotate


class LatentAttention(nn.Module):
    """Multi-head latent attention (DeepSeek-V2, section 2.1; the query's own latent, which saves memory in training
    alone, is left out).

    Keys and values of all heads are made of one latent c = W^DKV x of d_latent numbers a token: the cache keeps c, and
    neither keys nor values. The same numbers come out two ways.

    expanded  k = W^UK c and v = W^UV c for every head and token, then attention as usual
    absorbed  W^UK is applied to the query instead, W^UV to the result: every head then looks at the latents themselves,
              as in multi-query attention with one head, and no key is ever made. W^UV may go on into W^O: out_proj of a
              head times its v_up is one matrix (D, d_latent), which has more numbers than the two unless D is small

    d_head    width of W^UK's keys, d_model / num_heads unless given
    d_value   width of a head's values, d_head unless given
    d_rotary  numbers that know of places, beside the d_head that do not: each query head has its own, k_R = W^KR x is
              one key for all heads, and the cache keeps it too. A turn that depends on the place cannot be moved past
              W^UK, so that these numbers are left out of the latent. Scores are divided by √(d_head + d_rotary)
    rotary    how they are turned, (x, start) → x: `mha_lab.rotary.rotate` unless given
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_latent: int,
        *,
        d_head: int | None = None,
        d_value: int | None = None,
        d_rotary: int = 0,
        rotary: Callable[[Tensor, int], Tensor] | None = None,
    ):
        super().__init__()
        d_model = _door.whole("d_model", d_model)
        H = _door.whole("num_heads", num_heads, at_least=None if d_head is None else 1)
        if d_head is None:
            d_head = _door.divides(d_model, H, f"d_model={d_model} cannot be split over num_heads={H}")
        K, d_latent = _door.whole("d_head", d_head), _door.whole("d_latent", d_latent)
        V = K if d_value is None else _door.whole("d_value", d_value)
        R = _door.whole("d_rotary", d_rotary, at_least=0)
        if R % 2:
            raise ValueError(f"d_rotary={R}: rotary positions turn pairs of numbers, and {R} is odd.")
        if rotary is not None:
            if not R:
                raise ValueError("rotary turns d_rotary numbers of each query and key, and d_rotary is 0.")
            check_rotary(rotary, R)
        numbers = d_model * (H * (K + R + V) + d_latent + R) + d_latent * H * (K + V)
        require_if_large(numbers * torch.get_default_dtype().itemsize)
        self.d_model, self.num_heads, self.d_head, self.d_value, self.d_latent, self.d_rotary = (
            d_model,
            H,
            K,
            V,
            d_latent,
            R,
        )
        self.rotary = rotary or rotate
        self.q_proj = nn.Linear(d_model, H * (K + R), bias=False)
        self.down = nn.Linear(d_model, d_latent, bias=False)
        self.k_up = nn.Linear(d_latent, H * K, bias=False)
        self.v_up = nn.Linear(d_latent, H * V, bias=False)
        self.k_rotary = nn.Linear(d_model, R, bias=False) if R else None
        self.out_proj = nn.Linear(H * V, d_model, bias=False)

    def forward(
        self, x: Tensor, *, causal: bool = False, cache: KVCache | None = None, absorbed: bool = False
    ) -> Tensor:
        """x (B, N, D) → (B, N, D).

        causal    each token sees itself and the past only
        cache     x holds new tokens. It keeps d_latent + d_rotary numbers a token, as keys (B, 1, S, …); as values it
                  holds nothing. It is causal whatever `causal` says, its window holds, and after an error it is as it
                  was
        absorbed  which way: fewer FLOPs and bytes for a new token before a long cache, more for a whole text

        Raises ValueError or TypeError at the door, with the numbers."""
        check_tokens(self.d_model, self.q_proj, x)
        _door.instance("causal", causal, bool, "True or False")
        _door.instance("absorbed", absorbed, bool, "True or False")
        if cache is not None:
            _door.instance("cache", cache, KVCache, "a KVCache")
        N, start = x.shape[1], 0 if cache is None else cache.seen
        query = split_heads(self.q_proj(x), self.num_heads)  # (B, H, N, K + R)
        kept = self.down(x)[:, None]  # (B, 1, S, d_latent)
        if self.k_rotary is not None:
            query, turned = query.split([self.d_head, self.d_rotary], dim=-1)
            query = torch.cat([query, self.rotary(turned, start)], dim=-1)
            kept = torch.cat([kept, self.rotary(self.k_rotary(x)[:, None], start)], dim=-1)  # + R
        mask = None
        if cache is not None:
            mask = cache.mask(N, device=x.device)
            learning = torch.is_grad_enabled() and query.requires_grad
            kept, _ = cache.stage(kept, kept[..., :0], owner=self, learning=learning)
        elif causal:
            mask = causal_mask(N, device=x.device)
        look = self._absorbed if absorbed else self._expanded
        output = self.out_proj(merge_heads(look(query, kept, mask)))
        if cache is not None:
            cache.commit()  # last: whatever went wrong before, the cache is as it was
        return output

    def _expanded(self, query, kept, mask):
        latent, turned = kept.split([self.d_latent, self.d_rotary], dim=-1)
        key, value = (split_heads(up(latent[:, 0]), self.num_heads) for up in (self.k_up, self.v_up))
        key = torch.cat([key, turned.expand(-1, self.num_heads, -1, -1)], dim=-1)
        return attention(query, key, value, mask=mask)[0]

    def _absorbed(self, query, kept, mask):
        for name, up in ("k_up", self.k_up), ("v_up", self.v_up):
            if not isinstance(up, nn.Linear) or up.bias is not None:
                raise TypeError(
                    f"{name} is {_door.told(up)}; what is absorbed is the weight of an nn.Linear without bias."
                )
        k_up, v_up = (up.weight.unflatten(0, (self.num_heads, -1)) for up in (self.k_up, self.v_up))  # (H, K, d_latent)
        plain, turned = query.split([self.d_head, self.d_rotary], dim=-1)
        scale = (self.d_head + self.d_rotary) ** -0.5
        query = torch.cat([plain @ k_up, turned], dim=-1)  # (B, H, N, d_latent + R)
        found, _ = attention(query, kept, kept[..., : self.d_latent], mask=mask, scale=scale)
        return found @ v_up.mT

    def extra_repr(self) -> str:
        return ", ".join(
            f"{name}={getattr(self, name)}" for name in ("num_heads", "d_head", "d_value", "d_latent", "d_rotary")
        )
