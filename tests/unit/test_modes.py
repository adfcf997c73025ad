"""One table: every mode in which people run a layer, by its path and by what is in its way. Each cell equals a loop
written here in plain float64, or ends in one sentence."""

import math
import warnings

import pytest
import torch
from torch import nn

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, padding_mask
from mha_lab.rotary import Rotary

B, N, D, H, G, K = 2, 4, 12, 4, 2, 5  # H·K is not D: nothing may rest on it
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float16: 5e-3}


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


HIDDEN = torch.zeros(H, N, N, dtype=torch.float64).masked_fill(~causal_mask(N), -math.inf)
SCENES = {
    "no mask": {},
    "causal": {"causal": True},
    "padding": {"mask": padding_mask([4, 2])},
    "a row that sees nothing": {"mask": causal_mask(N).tril(-1)[None]},
    "bias": {"score_bias": seeded(H, N, N, seed=5)},
    "bias of −∞ beside left padding": {"score_bias": HIDDEN, "mask": padding_mask([4, 2]).flip(-1)},
    "cache": {},
}


def layer_of(dtype=torch.float64):
    layer = MultiHeadAttention(D, H, G, d_head=K).to(dtype)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(seeded(*parameter.shape, seed=seed) / 2)
    return layer.eval()


def naive(layer, x, scene, options):
    """The same by loops over batch, heads, queries and keys; a cache is causal."""
    q, k, v = (p(x) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    heads, weights = [], []
    for b in range(len(x)):
        for h in range(H):
            g, rows, shares = h // (H // G), [], []
            for n in range(N):
                scores = []
                for s in range(N):
                    score = q[b, n, h * K : h * K + K] @ k[b, s, g * K : g * K + K] / math.sqrt(K)
                    if "score_bias" in options:
                        score = score + options["score_bias"][h, n, s]
                    if "mask" in options and not options["mask"].expand(B, N, N)[b, n, s]:
                        score = torch.tensor(-math.inf, dtype=x.dtype)
                    if scene in ("causal", "cache") and s > n:
                        score = torch.tensor(-math.inf, dtype=x.dtype)
                    scores.append(score)
                row = torch.stack(scores)
                share = row.softmax(0) if row.max() > -math.inf else torch.zeros(N, dtype=x.dtype)
                shares.append(share)
                rows.append(share @ v[b, :, g * K : g * K + K])
            heads.append(torch.stack(rows))
            weights.append(torch.stack(shares))
    concat = torch.stack(heads).view(B, H, N, K).transpose(1, 2).reshape(B, N, H * K)
    return layer.out_proj(concat), torch.stack(weights).view(B, H, N, N)


def call(layer, scene, need_weights, dtype=torch.float64, device=None):
    """x → the output alone, or the pair; a cache is filled in two parts."""
    options = {
        name: value if value is True or value.dtype == torch.bool else value.to(dtype)
        for name, value in SCENES[scene].items()
    }
    if device:
        options = {name: value if value is True else value.to(device) for name, value in options.items()}

    def run(x):
        if scene != "cache":
            return layer(x, need_weights=need_weights, **options)
        cache = KVCache()
        parts = [layer(part, cache=cache, need_weights=need_weights) for part in x.split([x.shape[1] - 1, 1], dim=1)]
        if not need_weights:
            return torch.cat(parts, dim=1)
        first, last = (weights for _, weights in parts)
        return torch.cat([output for output, _ in parts], 1), torch.cat([nn.functional.pad(first, (0, 1)), last], 2)

    return run


def output_of(run):
    def only_output(x):
        result = run(x)
        return result[0] if isinstance(result, tuple) else result

    return only_output


def check(found, wanted, dtype):
    for ours, right in zip(found if isinstance(found, tuple) else (found,), wanted):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), right, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


cells = pytest.mark.parametrize(
    "need_weights, scene", [(way, scene) for way in (True, False) for scene in SCENES], ids=str
)


@cells
@pytest.mark.parametrize("mode", ["plain", "no_grad", "inference_mode"])
def test_plain_and_without_gradients(mode, need_weights, scene):
    layer, x = layer_of(), seeded(B, N, D, seed=9)
    wanted = naive(layer, x, scene, SCENES[scene])
    context = {"plain": torch.enable_grad, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}[mode]
    with context():
        check(call(layer, scene, need_weights)(x), wanted, torch.float64)


@cells
def test_first_derivatives(need_weights, scene):
    layer, probe = layer_of(), seeded(B, N, D, seed=8)
    asked = [seeded(B, N, D, seed=9).requires_grad_() for _ in range(2)]
    ours = output_of(call(layer, scene, need_weights))(asked[0])
    right = naive(layer, asked[1], scene, SCENES[scene])[0]
    parameters = list(layer.parameters())
    for mine, theirs in zip(
        *(
            torch.autograd.grad((output * probe).sum(), [x, *parameters], allow_unused=True)
            for output, x in zip((ours, right), asked)
        )
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-8)


@cells
def test_forward_derivatives(need_weights, scene):
    layer, x, along = layer_of(), seeded(B, N, D, seed=9), seeded(B, N, D, seed=8)
    layer.requires_grad_(False)
    _, ours = torch.func.jvp(output_of(call(layer, scene, need_weights)), (x,), (along,))
    _, right = torch.func.jvp(lambda x: naive(layer, x, scene, SCENES[scene])[0], (x,), (along,))
    torch.testing.assert_close(ours, right, atol=1e-10, rtol=1e-8)


@cells
def test_second_derivatives_or_the_name_of_the_path_that_has_them(need_weights, scene):
    layer, x = layer_of(), seeded(B, N, D, seed=9).requires_grad_()
    run = output_of(call(layer, scene, need_weights))

    def second(run):
        (gradient,) = torch.autograd.grad(run(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    if need_weights:
        right = second(lambda x: naive(layer, x, scene, SCENES[scene])[0])
        torch.testing.assert_close(second(run), right, atol=1e-9, rtol=1e-7)
    else:
        with pytest.raises(RuntimeError, match="The fused kernel has no second derivative: ask for need_weights=True"):
            second(run)


@cells
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap(gradients, need_weights, scene):
    layer, batches = layer_of().requires_grad_(gradients), seeded(3, B, N, D, seed=9)
    found = torch.func.vmap(call(layer, scene, need_weights))(batches)
    for i, x in enumerate(batches):
        mine = tuple(part[i] for part in found) if need_weights else found[i]
        check(mine, naive(layer, x, scene, SCENES[scene]), torch.float64)


@cells
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gradients_of_each_sample_alone(need_weights, scene):
    layer, batches = layer_of().requires_grad_(False), seeded(3, B, N, D, seed=9)
    run = output_of(call(layer, scene, need_weights))

    def loss(x):
        return run(x).square().sum()

    found = torch.func.vmap(torch.func.grad(loss))(batches)
    for each, x in zip(found, batches, strict=True):
        torch.testing.assert_close(each, torch.func.grad(loss)(x), atol=1e-10, rtol=1e-8)


@cells
def test_second_derivatives_by_transforms_take_the_path_that_has_them(need_weights, scene):
    layer, x = layer_of().requires_grad_(False), seeded(B, N, D, seed=9)

    def loss(run):
        return lambda x: run(x).square().sum()

    ours = loss(output_of(call(layer, scene, need_weights)))
    right = loss(lambda x: naive(layer, x, scene, SCENES[scene])[0])
    along = seeded(B, N, D, seed=8)
    expected = torch.func.jvp(torch.func.grad(right), (x,), (along,))[1]
    found = torch.func.jvp(torch.func.grad(ours), (x,), (along,))[1]
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-7)
    twice = torch.func.grad(lambda x: (torch.func.grad(ours)(x) * along).sum())(x)
    torch.testing.assert_close(twice, expected, atol=1e-9, rtol=1e-7)


def test_a_scale_and_a_rotary_base_may_be_symbols_of_a_compiler():
    torch._dynamo.reset()
    query = seeded(1, 2, 3, 4)
    scaled = torch.compile(lambda q, s: attention(q, q, q, scale=s)[0], fullgraph=True, backend="eager")
    layer = MultiHeadAttention(D, H, G, d_head=4, rotary=Rotary()).double()
    turned = torch.compile(layer, fullgraph=True, dynamic=True, backend="eager")
    for n, scale in (4, 0.1), (6, 0.2), (9, 0.3):
        torch.testing.assert_close(scaled(query, scale), attention(query, query, query, scale=scale)[0])
        x = seeded(B, n, D, seed=n)
        torch.testing.assert_close(turned(x), layer(x))


class Alone(nn.Module):
    def __init__(self, layer, run):
        super().__init__()
        self.layer, self.run = layer, run

    def forward(self, x):
        return self.run(x)


@cells
@pytest.mark.parametrize("gradients", [True, False])
def test_export(gradients, need_weights, scene):
    layer, x = layer_of(), seeded(B, N, D, seed=9)
    with torch.set_grad_enabled(gradients), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Alone(layer, call(layer, scene, need_weights)), (x,))
        check(program.module()(x), naive(layer, x, scene, SCENES[scene]), torch.float64)


@cells
def test_compile_fullgraph(need_weights, scene):
    torch._dynamo.reset()
    layer, x = layer_of(), seeded(B, N, D, seed=9)
    compiled = torch.compile(call(layer, scene, need_weights), fullgraph=True, backend="aot_eager")
    for gradients in True, False:
        with torch.set_grad_enabled(gradients):
            check(compiled(x), naive(layer, x, scene, SCENES[scene]), torch.float64)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("scene", ["no mask", "causal", "cache"])  # the others speak of so many tokens
def test_one_compilation_serves_every_length(need_weights, scene):
    torch._dynamo.reset()
    run = call(layer_of(), scene, need_weights)
    compiled = torch.compile(run, fullgraph=True, dynamic=True, backend="eager")
    for n in 4, 6, 9:
        x = seeded(B, n, D, seed=n)
        torch.testing.assert_close(compiled(x), run(x))


@cells
def test_shapes_on_the_meta_device(need_weights, scene):
    layer, x = layer_of().to("meta"), torch.empty(B, N, D, dtype=torch.float64, device="meta")
    found = call(layer, scene, need_weights, device="meta")(x)
    shapes = [tuple(part.shape) for part in (found if need_weights else (found,))]
    assert shapes == [(B, N, D), (B, H, N, N)][: len(shapes)]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("mode", ["meta", "vmap", "jvp", "export", "compile fullgraph", "double backward"])
@pytest.mark.filterwarnings("ignore")
def test_half_precision_in_every_mode(mode, dtype, need_weights):
    layer, x = layer_of().to(dtype), seeded(B, N, D, seed=9).to(dtype)
    run = output_of(call(layer, "causal", need_weights, dtype))
    wanted = run(x)
    if mode == "meta":
        found = output_of(call(layer.to("meta"), "causal", need_weights, dtype))(x.to("meta"))
        assert (found.shape, found.dtype) == (wanted.shape, dtype)
    elif mode == "double backward":
        asked = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(run(asked).float().sum(), asked, create_graph=True)
        if need_weights:
            assert torch.autograd.grad(gradient.float().square().sum(), asked)[0].isfinite().all()
        else:
            with pytest.raises(RuntimeError, match="ask for need_weights=True"):
                torch.autograd.grad(gradient.float().square().sum(), asked)
    else:
        torch._dynamo.reset()
        ways = {
            "vmap": lambda: torch.func.vmap(run)(x[None])[0],
            "jvp": lambda: torch.func.jvp(run, (x,), (x,))[0],
            "export": lambda: torch.export.export(Alone(layer, run), (x,)).module()(x),
            "compile fullgraph": lambda: torch.compile(run, fullgraph=True, backend="aot_eager")(x),
        }
        torch.testing.assert_close(ways[mode]().float(), wanted.float(), atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@cells
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_every_precision(dtype, need_weights, scene):
    layer, x = layer_of(), seeded(B, N, D, seed=9)
    wanted = naive(layer, x, scene, SCENES[scene])
    check(call(layer.to(dtype), scene, need_weights, dtype)(x.to(dtype)), wanted, dtype)


@cells
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype, need_weights, scene):
    layer, x = layer_of(), seeded(B, N, D, seed=9)
    wanted = naive(layer, x, scene, SCENES[scene])
    with torch.autocast("cpu", dtype=dtype):
        check(call(layer.float(), scene, need_weights, torch.float32)(x.float()), wanted, dtype)
