"""Heads and texts over several ranks: the numbers of one machine, forward and backward, and no process left behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from itertools import product
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist

from mha_lab import KVCache, MultiHeadAttention, attention, causal_mask, communication, measure, parallel
from mha_lab.parallel import link, picture, shown
from mha_lab.rotary import rotate
from mha_lab.variants import GatedAttention

ROOT = Path(__file__).parents[2]
SLACK = 60  # seconds that two ranks may take to start where all cores are busy


def layer_of(d_model=12, heads=6, kv_heads=None, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MultiHeadAttention(d_model, heads, kv_heads, **options).double()


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# who holds what ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads, ranks", [(h, r) for h in range(1, 13) for r in range(1, h + 1)])
def test_every_head_is_dealt_once_and_no_rank_has_two_more_than_another(heads, ranks):
    dealt = [parallel.heads_of(heads, rank, ranks) for rank in range(ranks)]
    assert [head for each in dealt for head in each] == list(range(heads))
    counts = [len(each) for each in dealt]
    assert max(counts) - min(counts) <= 1 and counts == sorted(counts, reverse=True)


def test_a_rank_holds_the_key_value_heads_that_its_queries_look_at():
    assert [parallel.kv_heads_of(8, 4, rank, 2) for rank in range(2)] == [[0, 1], [2, 3]]
    assert [parallel.kv_heads_of(8, 2, rank, 4) for rank in range(4)] == [[0], [0], [1], [1]]
    assert [parallel.kv_heads_of(12, 4, rank, 6) for rank in range(6)] == [[0], [0, 1], [1], [2], [2, 3], [3]]


LAYERS = [
    (heads, kv_heads, ranks)
    for heads, kv_heads, ranks in product((1, 4, 6), (1, 2, 4, 6), (1, 2, 3, 4))
    if kv_heads <= heads and heads % kv_heads == 0 and ranks <= heads
]


@pytest.mark.parametrize("heads, kv_heads, ranks", LAYERS)
def test_the_parts_of_a_layer_add_up_to_it_forward_and_backward(heads, kv_heads, ranks):
    layer = layer_of(12, heads, kv_heads, d_head=4, rotary=rotate)
    x, weight = numbers(2, 5, 12).requires_grad_(), numbers(2, 5, 12, seed=1)
    expected = layer(x, causal=True)
    (expected * weight).sum().backward()
    wanted, x.grad = x.grad, None
    parts = [parallel.part_of(layer, rank, ranks) for rank in range(ranks)]
    total = sum(part(x, causal=True) for part in parts)
    (total * weight).sum().backward()
    close(total, expected)
    close(x.grad, wanted)
    queries = torch.cat([part.q_proj.weight.grad for part in parts])
    close(queries, layer.q_proj.weight.grad)
    close(torch.cat([part.out_proj.weight.grad for part in parts], dim=1), layer.out_proj.weight.grad)
    close(parts[0].out_proj.bias.grad, layer.out_proj.bias.grad)


def test_parts_that_are_trained_a_step_add_up_to_the_layer_after_that_step():
    layer, x, weight = layer_of(12, 4, 4), numbers(2, 5, 12), numbers(2, 5, 12, seed=1)
    parts = [parallel.part_of(layer, rank, 4) for rank in range(4)]
    for modules in ([layer], parts):
        step = torch.optim.SGD([p for module in modules for p in module.parameters() if p.requires_grad], lr=0.5)
        (sum(module(x) for module in modules) * weight).sum().backward()
        step.step()
    close(sum(part(x) for part in parts), layer(x))


def test_a_part_of_one_is_the_layer_and_draws_no_random_number():
    layer, before = layer_of(), torch.get_rng_state()
    part = parallel.part_of(layer, 0, 1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(part.state_dict()[name], tensor) and part.state_dict()[name].data_ptr() != tensor.data_ptr()


def test_a_part_keeps_type_mode_and_what_is_frozen():
    layer = layer_of(bias=False).float().eval().requires_grad_(False)
    part = parallel.part_of(layer, 1, 2)
    assert part.q_proj.weight.dtype == torch.float32 and not part.training
    assert part.q_proj.bias is None and not any(p.requires_grad for p in part.parameters())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: parallel.heads_of(4, 0, 5), "4 heads on 5 ranks: a rank without a head has nothing to do."),
        (lambda: parallel.heads_of(4, 2, 2), "rank=2 of 2: the ranks are counted from 0."),
        (lambda: parallel.heads_of(4, -1, 2), "rank=-1: it must be at least 0."),
        (lambda: parallel.kv_heads_of(8, 3, 0, 2), "num_heads=8 cannot share num_kv_heads=3"),
        (lambda: parallel.part_of(GatedAttention(8, 2), 0, 2), "layer is a GatedAttention"),
        (lambda: parallel.run(len, 0), "ranks=0: it must be at least 1."),
        (lambda: parallel.run(len, 99), "ranks=99: each is a process of its own, and at most 16 are started."),
        (lambda: parallel.run(len, 1, seconds=0), "seconds=0: it must be more than 0."),
    ],
)
def test_what_cannot_be_is_said_with_the_numbers(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_what_is_no_function_or_cannot_be_sent_is_said():
    with pytest.raises(TypeError, match="function is the int 3; it must be a function, which every rank then calls."):
        parallel.run(3, 2)
    lock = threading.Lock()

    def counted():
        return lock

    with pytest.raises(TypeError, match="counted cannot be sent to another process, nor what it names and is given"):
        parallel.run(counted, 2)


# real processes ------------------------------------------------------------------------------------------------------


def spread_over_ranks(layers, x, weight):
    """What each rank finds with its own parts of the layers: outputs, gradients, and what its caches hold."""
    found = []
    for layer in layers:
        split, read = parallel.AcrossRanks(layer), x.clone().requires_grad_()
        output = split(read, causal=True)
        (output * weight).sum().backward()
        cache = KVCache()
        with torch.no_grad():
            decoded = torch.cat([split(token, cache=cache) for token in x.split(1, dim=1)], dim=1)
            crossed = split(x, x.flip(1))
            _, weights = split(x, need_weights=True)
        found.append(
            (output.detach(), read.grad, split.part.q_proj.weight.grad, decoded, crossed, weights, cache.key.shape[1])
        )
    return dist.get_rank(), torch.get_num_threads(), found


def test_two_ranks_give_what_one_machine_gives_forward_backward_and_with_a_cache():
    layers = [layer_of(heads=6), layer_of(heads=6, kv_heads=2), layer_of(heads=6, kv_heads=1), layer_of(12, 3)]
    x, weight = numbers(2, 5, 12), numbers(2, 5, 12, seed=1)
    ranks = parallel.run(spread_over_ranks, 2, layers, x, weight, seconds=SLACK)
    assert [rank for rank, *_ in ranks] == [0, 1] and all(threads == 1 for _, threads, _ in ranks)
    for i, layer in enumerate(layers):
        read = x.clone().requires_grad_()
        expected = layer(read, causal=True)
        (expected * weight).sum().backward()
        for rank, _, found in ranks:
            output, gradient, of_queries, decoded, crossed, weights, kept = found[i]
            close(output, expected.detach())
            close(gradient, read.grad)
            close(decoded, expected.detach())
            close(crossed, layer(x, x.flip(1)).detach())
            heads = parallel.heads_of(layer.num_heads, rank, 2)
            own = slice(heads.start * layer.d_head, heads.stop * layer.d_head)
            close(of_queries, layer.q_proj.weight.grad[own])
            close(weights, layer(x, need_weights=True)[1][:, heads.start : heads.stop].detach())
            assert kept == parallel.part_of(layer, rank, 2).num_kv_heads


def as_the_library_cuts_it(layer, x):
    split, untold = shown.parallelized(layer), shown.parallelized(layer, own_counts=False)
    return shown.called(split, x), untold(x), shown.compared()


def test_pytorchs_own_library_cuts_our_layer_and_sends_one_all_reduce():
    layer = layer_of(64, 8, 4).requires_grad_(False)
    x = numbers(1, 1024, 64)  # so large a sum is not there at once: who returns it must have waited
    for (found, messages), untold, told in parallel.run(as_the_library_cuts_it, 2, layer, x, seconds=SLACK):
        assert type(found) is torch.Tensor and messages == 1
        close(found, layer(x))
        assert untold.shape == found.shape and not torch.allclose(untold, found)  # it still believed in 8 heads
        assert told.by_hand < 1e-12 and told.by_library < 1e-12 and told.all_reduces == 1
        assert "one machine" in str(told) and 2 * told.numbers < told.whole + 100


@pytest.mark.parametrize(
    "command",
    [["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"], ["-m"]],
    ids=["torchrun", "alone"],
)
def test_the_same_layer_runs_outside_jupyter(command):
    done = subprocess.run(
        [sys.executable, *command, "mha_lab.parallel"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 ranks: by hand ") and done.stdout.count("\n") == 1


def rings(texts):
    """Ring attention on this rank's part of each text, and its gradients."""
    rank, ranks, found = dist.get_rank(), dist.get_world_size(), []
    for q, k, v, weight, causal in texts:
        own = [part.chunk(ranks, dim=2)[rank].clone().requires_grad_() for part in (q, k, v)]
        output = parallel.ring_attention(*own, causal=causal)
        (output * weight.chunk(ranks, dim=2)[rank]).sum().backward()
        found.append([output.detach(), *(part.grad for part in own)])
    return found


def texts_for(ranks):
    shapes = [(1, 2, 2, 4, 3, 3, 1.0), (2, 4, 2, 6, 5, 2, 1.0), (1, 4, 1, 2, 3, 4, 1.0), (1, 2, 2, 3, 3, 3, 300.0)]
    texts = []
    for seed, (B, H, G, N, K, V, size) in enumerate(shapes):
        for causal in (False, True):
            q, k = numbers(B, H, N * ranks, K, seed=seed) * size, numbers(B, G, N * ranks, K, seed=seed + 10)
            texts.append((q, k, numbers(B, G, N * ranks, V, seed=seed + 20), numbers(B, H, N * ranks, V), causal))
    return texts


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_text_that_goes_round_is_attended_to_as_on_one_machine_forward_and_backward(ranks):
    texts = texts_for(ranks)
    by_rank = parallel.run(rings, ranks, texts, seconds=SLACK)
    for i, (q, k, v, weight, causal) in enumerate(texts):
        whole = [part.clone().requires_grad_() for part in (q, k, v)]
        mask = causal_mask(q.shape[2]) if causal else None
        expected = attention(*whole, mask=mask)[0]
        (expected * weight).sum().backward()
        joined = [torch.cat(parts, dim=2) for parts in zip(*(found[i] for found in by_rank))]
        for mine, right in zip(joined, [expected.detach(), *(part.grad for part in whole)]):
            close(mine, right)


def test_a_query_that_has_seen_no_key_yet_is_merged_as_nothing():
    nothing, unseen = torch.zeros(2, 3), torch.full((2,), -torch.inf)
    output, lse = parallel.merged(nothing, unseen, nothing, unseen)
    assert (output == 0).all() and (lse == -torch.inf).all()
    output, lse = parallel.merged(output, lse, torch.ones(2, 3), torch.zeros(2))
    assert (output == 1).all() and (lse == 0).all()


def test_two_outputs_are_merged_by_what_they_stand_for():
    scores, values = numbers(3, 8) * 200, numbers(8, 2, seed=1)
    halves = [(s.softmax(-1) @ v, s.logsumexp(-1)) for s, v in zip(scores.split([3, 5], -1), values.split([3, 5]))]
    output, lse = parallel.merged(*halves[0], *halves[1])
    close(output, scores.softmax(-1) @ values)
    close(lse, scores.logsumexp(-1))


HALF = torch.zeros(2, 3), torch.zeros(2)


@pytest.mark.parametrize(
    "given, kind, words",
    [
        ((torch.zeros(3, 2), torch.zeros(3, 1), torch.zeros(3, 2), torch.zeros(3)), ValueError, r"lse is .* \(3, 1\)"),
        ((torch.zeros(3, 2), torch.zeros(3), torch.zeros(3, 2), torch.zeros(1)), ValueError, r"more_lse is .* \(1,\)"),
        ((*HALF, torch.zeros(2, 4), torch.zeros(2)), ValueError, r"more is .* \(2, 4\) beside an output \(2, 3\)"),
        ((*HALF, torch.zeros(3), torch.zeros(2)), ValueError, r"more is .* \(3,\)"),
        ((HALF[0], torch.zeros(2).long(), *HALF), ValueError, "lse is torch.int64"),
        ((torch.tensor(1.0), *HALF, HALF[1]), ValueError, r"output is .* \(\)"),
        ((*HALF, [1.0], HALF[1]), TypeError, r"more is the list \[1.0\]; it must be a tensor"),
    ],
)
def test_outputs_that_are_not_of_the_same_queries_are_not_merged(given, kind, words):
    with pytest.raises(kind, match=words):
        parallel.merged(*given)


RANKS_OWN = torch.ones(2, 2, 4, 3)


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (
            lambda: parallel.ring_attention(*3 * [RANKS_OWN[0]]),
            ValueError,
            r"shape \(2, 4, 3\); a rank's are \(B, H, N, K\)",
        ),
        (lambda: parallel.ring_attention(*3 * [RANKS_OWN[None]]), ValueError, r"a rank's are \(B, H, N, K\)"),
        (lambda: parallel.ring_attention(RANKS_OWN, *2 * [RANKS_OWN[:1]]), ValueError, "batches of 2, 1 and 1"),
        (
            lambda: parallel.ring_attention(*3 * [RANKS_OWN]),
            RuntimeError,
            "ring_attention speaks to other ranks, and there",
        ),
        (
            lambda: parallel.AcrossRanks(layer_of()),
            RuntimeError,
            "AcrossRanks speaks .* parallel.run or torchrun starts",
        ),
        (lambda: link.fastest(list, 1), RuntimeError, "fastest speaks to other ranks"),
        (lambda: shown.parallelized(layer_of()), RuntimeError, "parallelized speaks to other ranks"),
    ],
)
def test_what_needs_ranks_says_so_and_what_does_not_go_round_too(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def in_a_ring(q, k, v):
    """On this rank's part of a short text in 16 bits; and the bytes that it holds at its worst moment, of two texts."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    output = parallel.ring_attention(*(part.chunk(ranks, dim=2)[rank] for part in (q, k, v)), causal=True)
    texts = [torch.ones(1, 2, tokens // ranks, 4) for tokens in (512, 1024)]
    return output, [measure.peak_memory(lambda own=own: parallel.ring_attention(own, own, own)) for own in texts]


def test_in_sixteen_bits_a_ring_is_as_exact_as_attention_and_holds_a_square_of_a_ranks_own_tokens():
    q, k, v = numbers(3, 1, 2, 8, 4).bfloat16()
    (first, held), (second, also) = parallel.run(in_a_ring, 2, q, k, v, seconds=SLACK)
    found = torch.cat([first, second], dim=2)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, attention(q, k, v, mask=causal_mask(8))[0])
    assert held == also and 3.5 < held[1] / held[0] < 4.1
    scores = 4 * 2 * 256**2  # of a rank's 256 tokens on as many; on one machine it would be 512 on 512
    assert 2 * scores < held[0] < 3.5 * scores


def test_a_ring_of_unequal_numbers_of_tokens_is_refused():
    q = torch.ones(1, 2, 4, 3)
    with pytest.raises(ValueError, match="4 queries and 5 keys: a rank holds both of its own tokens."):
        parallel.ring_attention(q, torch.ones(1, 2, 5, 3), torch.ones(1, 2, 5, 3))


def test_a_link_is_found_again_in_the_times_that_it_makes():
    wire = communication.Link("made", 2e-4, 3e9)
    for ranks in (2, 4):
        took = {size: communication.all_reduce_seconds(wire, size, ranks) for size in (4, 2**14, 2**24)}
        found = link.fitted(took, ranks)
        assert found.latency == pytest.approx(2e-4, rel=1e-3) and found.bytes_per_second == pytest.approx(3e9)


def test_each_of_the_four_ways_cuts_one_axis_and_the_picture_says_what_travels():
    assert sorted(way.weights + way.work for way in picture.WAYS) == ["heads", "layers", "texts", "tokens"]
    figure = picture.four_ways()
    shown = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    for column, way in enumerate(picture.WAYS):
        model, batch = shown[column], shown[column + len(picture.WAYS)]
        assert way.travels in batch and (model.count("all") == 16) == (not way.weights)
        assert (batch.count("all") == 16) == (not way.work)
        assert {*"ABCD"} <= set(model if way.weights else batch)


# nobody is left behind -----------------------------------------------------------------------------------------------


def children():
    """The ranks that live on this machine and were started by this very process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() == psutil.STATUS_ZOMBIE or any("_rank.py" in word for word in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            pass
    return found


def raises_on(bad):
    if dist.get_rank() == bad:
        raise ValueError("no such head\nand more")
    dist.all_reduce(torch.ones(1))


def sleeps_on(bad):
    print("here is", dist.get_rank())
    if dist.get_rank() == bad:
        time.sleep(1000)
    dist.all_reduce(torch.ones(1))


def is_killed_on(bad):
    if dist.get_rank() == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(torch.ones(1))


def leaves_on(bad):
    if dist.get_rank() == bad:
        os._exit(3)
    dist.all_reduce(torch.ones(1))


def sums_once_on(one):
    for _ in range(1 if dist.get_rank() == one else 2):
        dist.all_reduce(torch.ones(1))


def computes_for_ever():
    while True:
        pass


FAILURES = {
    raises_on: r"Rank 1 of 2 raised ValueError: no such head in line \d+ of its code, `raise ValueError\(.*\)`; all",
    is_killed_on: r"Rank 1 of 2 was killed \(SIGKILL\) before it was done; all other ranks were ended\.",
    leaves_on: r"Rank 1 of 2 left with exit code 3 before it was done\.",
    sleeps_on: r"Not all ranks were done after 1 seconds: rank 0 stood in line \d+ of its code, `dist.*`; "
    r"rank 1 stood in line \d+ of its code, `time.sleep\(1000\)`. All were ended\.",
    sums_once_on: r"Not all ranks were done after 1 seconds: rank 0 stood in line .*; rank 1 had finished. All were",
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
@pytest.mark.parametrize("function", FAILURES, ids=lambda function: function.__name__)
def test_a_rank_that_fails_ends_in_one_sentence_and_leaves_nobody(function, capfd):
    with pytest.raises(parallel.RankFailed, match=FAILURES[function]) as failed:
        parallel.run(function, 2, 1, seconds=1)
    assert "\n" not in str(failed.value) and children() == []
    if function is raises_on:
        assert "no such head\nand more" in failed.value.traceback
    if function is sleeps_on:  # what ranks print is shown, rank by rank
        assert capfd.readouterr().out == "rank 0: here is 0\nrank 1: here is 1\n"


def test_ranks_that_compute_for_ever_are_ended():
    with pytest.raises(parallel.RankFailed, match="ranks? .*stood in line .*`(while True:|pass)`"):
        parallel.run(computes_for_ever, 2, seconds=1)
    assert children() == []


def test_a_rank_that_hangs_is_told_within_ten_seconds():
    def hang():
        Path(folder, str(dist.get_rank())).write_text(str(time.monotonic()))
        time.sleep(1000)

    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(parallel.RankFailed, match="after 9 seconds"):
            parallel.run(hang, 1)
        took = time.monotonic() - float(Path(folder, "0").read_text())
    assert took < 10


def its_sum(number):
    total = torch.tensor(float(number))
    dist.all_reduce(total)
    return total.item()


def test_no_port_has_to_be_free_and_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 29500))  # where torchrun's ranks would meet
        taken.listen()
        assert parallel.run(its_sum, 2, 3, seconds=SLACK) == [6, 6]
    assert list(tmp_path.iterdir()) == [] and children() == []


def starter(body):
    """A Python of its own that runs the body, in which `work` sleeps on every rank and says so first."""
    program = f"""
    import signal, sys, time
    from pathlib import Path
    import torch.distributed as dist
    from mha_lab import parallel

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may have been told to ignore it

    def work():
        (Path({{folder!r}}) / f"rank_{{{{dist.get_rank()}}}}").touch()
        time.sleep(1000)

    {body}
    """
    return textwrap.dedent(program)


@pytest.fixture
def sleeping(tmp_path):
    """A Python in whose call two ranks sleep, and they."""
    code = starter("parallel.run(work, 2, seconds=500)").format(folder=str(tmp_path))
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 90
    while not all((tmp_path / f"rank_{rank}").exists() for rank in range(2)):
        assert time.monotonic() < until and caller.poll() is None
        time.sleep(0.05)
    ranks = psutil.Process(caller.pid).children(recursive=True)
    assert len(ranks) == 2
    yield caller, ranks
    if caller.poll() is None:
        caller.kill()
    caller.wait()
    caller.stderr.close()


def all_gone(processes, within=10):
    return psutil.wait_procs(processes, timeout=within)[1] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_an_interrupt_ends_the_ranks_and_stays_an_interrupt(sleeping):
    caller, ranks = sleeping
    caller.send_signal(signal.SIGINT)  # what the notebook's stop button sends
    assert all_gone(ranks) and "KeyboardInterrupt" in caller.stderr.read().decode()
    assert caller.wait(10) != 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_two_interrupts_leave_nobody_either(sleeping):
    caller, ranks = sleeping
    for _ in range(2):
        caller.send_signal(signal.SIGINT)
        time.sleep(0.002)
    assert all_gone([*ranks, psutil.Process(caller.pid)] if caller.poll() is None else ranks)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_ranks_end_with_the_python_that_called_them_however_that_ends(sleeping):
    caller, ranks = sleeping
    caller.kill()  # as when a kernel dies
    caller.wait()
    assert all_gone(ranks)
