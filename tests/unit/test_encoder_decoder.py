"""The encoder–decoder: what it may see, that writing by itself is what it was trained for, and bad input."""

import pytest
import torch
from torch import nn

from mha_lab import KVCache, models, tasks, train
from mha_lab.tasks import END, PAD, START

SOURCE = torch.tensor([[5, 6, 7, 8], [9, 4, PAD, PAD]])
TARGET = torch.tensor([[4, 5, 6, 7, END], [8, 9, END, PAD, PAD]])


def model(**options):
    torch.manual_seed(0)
    return models.EncoderDecoder(12, 10, d_model=16, num_heads=2, mlp=32, **options).eval()


def close(a, b):
    return torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_logits_maps_and_losses_have_the_shapes_that_are_promised(layers):
    net = model(num_layers=layers)
    logits, maps = net(SOURCE, TARGET, need_weights=True)
    assert logits.shape == (2, 5, 10) and maps.shape == (2, layers, 2, 5, 4)
    assert close(maps.sum(dim=-1), torch.ones(2, layers, 2, 5))
    assert close(net(SOURCE, TARGET), logits)
    assert net.losses(tasks.Pairs(SOURCE, TARGET, None)).shape == (2,)


def test_no_query_looks_at_padding_and_padding_changes_nothing():
    net = model()
    logits, maps = net(SOURCE, TARGET, need_weights=True)
    assert maps[1, ..., 2:].abs().max() == 0
    assert close(net(SOURCE[1:, :2], TARGET[1:]), logits[1:])


def test_an_answer_depends_on_the_whole_source_and_on_no_later_target():
    net = model()
    before = net(SOURCE, TARGET)[0]
    assert close(net(SOURCE, TARGET.index_fill(1, torch.tensor([3]), 9))[0, :4], before[:4])
    assert not close(net(SOURCE.index_fill(1, torch.tensor([3]), 11), TARGET)[0, :1], before[:1])


def test_without_encoder_layers_it_looks_at_the_words_themselves():
    net = model(encoder_layers=0)
    memory, _ = net.encode(SOURCE)
    other, _ = net.encode(SOURCE.index_fill(1, torch.tensor([0]), 11))
    assert close(memory[:, 1:], other[:, 1:]) and not close(memory[:, 0], other[:, 0])


def test_the_loss_counts_the_end_and_not_the_padding():
    net = model()
    told = net(SOURCE, TARGET).log_softmax(dim=-1).gather(2, TARGET[..., None])[..., 0]
    assert close(net.losses(tasks.Pairs(SOURCE, TARGET, None)), torch.stack([-told[0].mean(), -told[1, :3].mean()]))


def test_writing_token_by_token_with_a_cache_is_what_one_pass_would_write():
    net = model(num_layers=2, max_tokens=9)
    written = net.write(SOURCE)
    assert written.shape[1] <= 9
    guesses = net(SOURCE, written).argmax(dim=-1)
    for row, guess in zip(written, guesses):
        length = row.tolist().index(END) + 1 if END in row else len(row)
        assert torch.equal(row[:length], guess[:length]) and (row[length:] == PAD).all()


def test_a_cached_step_gives_the_logits_of_one_pass():
    net = model(num_layers=2)
    memory, mask = net.encode(SOURCE)
    before = torch.cat([torch.full((2, 1), START), TARGET[:, :-1]], dim=1)
    whole, _ = net.decode(before, memory, mask)
    caches = [KVCache(), KVCache()]
    for n in range(1, 6):
        step, _ = net.decode(before[:, :n], memory, mask, caches=caches)
        assert step.shape == (2, 1, 10) and close(step[:, 0], whole[:, n - 1])


def test_exact_asks_for_every_token_and_the_end():
    net = model(max_tokens=9)
    written = net.write(SOURCE)
    assert net.exact(tasks.Pairs(SOURCE, written, None)).tolist() == [True, True]
    assert net.exact(tasks.Pairs(SOURCE, torch.cat([written, written[:, :1]], dim=1), None)).tolist() == [False, False]
    written[0, 0] = 9 if written[0, 0] != 9 else 8
    assert net.exact(tasks.Pairs(SOURCE, written, None)).tolist() == [False, True]


def test_norms_and_positions_are_those_that_are_asked_for():
    net = model(norm=nn.RMSNorm, positions=lambda d_model: models.Learned(64, d_model))
    kinds = [type(module) for module in net.modules()]
    assert nn.RMSNorm in kinds and nn.LayerNorm not in kinds and kinds.count(models.Learned) == 2


def test_it_learns_to_copy_and_looks_where_it_copies_from():
    def draw(B, generator):
        words = torch.randint(3, 10, (B, 5), generator=generator)
        return tasks.Pairs(words, torch.cat([words, torch.full((B, 1), END)], dim=1), None)

    torch.manual_seed(0)
    net = models.EncoderDecoder(10, 10, d_model=32, num_heads=2)
    train.fit(net, draw, steps=300, progress=False)
    test = draw(50, torch.Generator().manual_seed(1))
    assert net.exact(test).double().mean() > 0.9
    _, maps = net(test.source, test.target, need_weights=True)
    diagonal = maps[:, 0, :, :5].diagonal(dim1=-2, dim2=-1)  # row n writes word n, though it has read only n words
    assert diagonal.mean(dim=(0, 2)).max() > 0.6


@pytest.mark.parametrize(
    "run, words",
    [
        (
            lambda net: net(torch.full((1, 5_000), 5), TARGET[:1]),
            "source sentence of 5000 tokens is too long: .* up to 64",
        ),
        (lambda net: net(SOURCE[:, :0], TARGET), r"source has shape \(2, 0\)"),
        (lambda net: net(torch.tensor([[5, 6], [PAD, PAD]]), TARGET), "a source sentence is empty"),
        (lambda net: net(SOURCE + 10, TARGET), "source holds the tokens 10 to 19; this model knows 0 to 11"),
        (lambda net: net(SOURCE, TARGET + 9), "target holds the tokens 1 to 18; this model knows 0 to 9"),
        (lambda net: net(SOURCE[0], TARGET), r"source has shape \(4,\)"),
    ],
)
def test_sentences_that_do_not_fit_are_named(run, words):
    with pytest.raises(ValueError, match=words):
        run(model())
