"""The models of lesson 09: one size, one loader of what was trained, and the records as they were promised."""

import pytest
import torch

from mha_lab import _data, models, tasks
from mha_lab.models import intents
from mha_lab.tasks import intent_results


@pytest.fixture(scope="module")
def found():
    return tasks.recorded_intents()


@pytest.mark.parametrize("vocabulary", [251, 493])
def test_all_models_have_as_many_parameters_within_three_per_cent(vocabulary):
    sizes = [models.num_parameters(models.intent_model(name, vocabulary)) for name in models.INTENT_MODELS]
    assert max(sizes) < 1.03 * min(sizes)


def test_a_seed_makes_the_same_model_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (models.intent_model("relative", 50, seed=seed).embed.weight for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no model 'bag'; there are: BiLSTM, relative"):
        models.intent_model("bag", 50)
    with pytest.raises(ValueError, match="no trained 'RMSNorm'.*both languages"):
        models.trained_intent_model("RMSNorm")
    with pytest.raises(ValueError, match="nobody trained 'BiLSTM' on 77 sentences"):
        tasks.recorded_intents().of("BiLSTM", size=77)


@pytest.mark.parametrize("name", list(intents.TRAINED))
def test_a_trained_model_reaches_what_was_recorded(name, found):
    language = None if name == "both languages" else "zh"
    test = tasks.intents("test", language=language, size=400)
    right = models.all_right(models.trained_intent_model(name), test)[~test.of_kind("ordinal")]
    kind = intents.TRAINED[name][0]
    which = {"language": "both", "size": 16_000} if language is None else {}
    recorded = found.of(kind, **which)[0].accuracy["main"]
    assert right.double().mean().item() == pytest.approx(recorded, abs=0.08)  # some 300 of 1,494


@pytest.mark.parametrize("change", [lambda b: b[:-100], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]])
def test_an_altered_or_shortened_file_is_named_in_words(change, tmp_path, monkeypatch):
    for path in models.intent_checkpoint("relative"), intent_results.INTENT_RESULTS:
        (tmp_path / path.name).write_bytes(change(path.read_bytes()))
    monkeypatch.setattr(_data, "FOLDER", tmp_path)
    monkeypatch.setattr(intent_results, "INTENT_RESULTS", tmp_path / "intents.npz")
    with pytest.raises(ValueError, match="intents_relative.safetensors was altered or cut short"):
        models.trained_intent_model("relative")
    with pytest.raises(ValueError, match="intents.npz was altered or cut short"):
        tasks.recorded_intents()
    with pytest.raises(FileNotFoundError, match="intents_learned.safetensors is missing"):
        models.trained_intent_model("learned")


def test_the_compared_models_were_trained_with_three_seeds_at_both_budgets_and_no_seed_is_left_out(found):
    for name in "BiLSTM", "learned", "relative":
        for which in {}, {"steps": 500}, {"steps": 500, "language": "en"}:
            runs = found.of(name, **which)
            assert [run.seed for run in runs] == [0, 1, 2]
            for run in runs:
                assert {"main", "composite", "negated", "ordinal", "longer", "seen"} <= set(run.accuracy)
                assert all(0 <= value <= 1 for value in run.accuracy.values() if value == value) and run.seconds > 0
    for name in "rotary", "from zero", "8 heads", "GLU", "gated attention", "RMSNorm":
        assert found.gain(name, "relative").shape == (3,)
    for steps in 500, 2000:
        assert found.gain("relative", "BiLSTM", size=1500, steps=steps).shape == (3,)


def test_every_training_says_what_it_reached_on_all_but_ordinals_and_on_ordinals(found):
    for run in found.trained:
        assert 0 <= run.accuracy["main"] <= 1 and 0 <= run.accuracy["ordinal"] <= 1


def test_the_recorded_shares_are_those_of_the_recorded_answers(found):
    test = tasks.intents("test", language="zh")
    answered = [run for run in found.trained if run.answers is not None]
    assert {"BiLSTM", "relative", "rotary", "8 heads", "GLU", "RMSNorm"} <= {run.name for run in answered}
    for run in answered:
        right = run.answers == test.labels
        assert run.accuracy["main"] == pytest.approx(right[~test.of_kind("ordinal")].double().mean().item())
        for kind in (*found.kinds, "ordinal"):
            assert run.accuracy[kind] == pytest.approx(right[test.of_kind(kind)].double().mean().item())


def test_a_gain_is_the_difference_of_the_same_seeds(found):
    one, other = (found.of(name) for name in ("rotary", "relative"))
    expected = [a.accuracy["main"] - b.accuracy["main"] for a in one for b in other if a.seed == b.seed]
    assert found.gain("rotary", "relative").tolist() == pytest.approx(expected)


def test_batches_are_of_like_length_and_every_sentence_is_as_likely():
    corpus = tasks.intents("validation", language="zh", size=64)
    draw, generator = models.of_like_length(corpus), torch.Generator().manual_seed(0)
    drawn = [draw(8, generator) for _ in range(1500)]
    padding = torch.stack([(b.lengths < b.inputs.shape[1]).double().mean() for b in drawn])
    spread = torch.stack([b.lengths.max() - b.lengths.min() for b in drawn]).double().mean()
    anyhow = [corpus.draw(8, generator).lengths for _ in range(200)]
    assert spread < 0.5 * torch.stack([lengths.max() - lengths.min() for lengths in anyhow]).double().mean()
    assert padding.max() < 1
    mean = torch.cat([b.lengths for b in drawn]).double().mean().item()
    assert mean == pytest.approx(corpus.everything.lengths.double().mean().item(), rel=0.03)


def test_all_right_is_in_the_corpus_s_order():
    corpus, model = tasks.intents("validation", language="zh", size=300), models.intent_model("BiLSTM", 251)
    model.eval()
    alone = torch.cat([model.right(corpus.batch([row])) for row in range(0, 300, 37)])
    assert torch.equal(models.all_right(model, corpus)[::37], alone)


def test_a_bias_for_each_layer_is_added_in_its_layer():
    model = models.intent_model("1 head, back then ahead", 251).eval()
    ids = torch.randint(3, 200, (2, 9, 1), generator=torch.Generator().manual_seed(0))
    _, maps, _ = model(ids, need_weights=True)
    behind = [maps[:, layer].tril(-1).sum() / maps[:, layer].sum() for layer in (0, 1)]
    assert behind[0] > 0.4 > 0.2 > behind[1]


def test_what_a_table_begins_with_is_what_its_rates_say():
    bias = models.RelativeBias(2, reach=3, rates=torch.tensor([[1.0, 0.0], [2.0, 0.5]]))
    assert bias(6)[0, 2].tolist() == [-2, -1, 0, -2, -4, -6]  # and goes on beyond the reach
    assert bias(6)[1, 2].tolist() == [0, 0, 0, -0.5, -1, -1.5]
    with pytest.raises(ValueError, match=r"2 heads need \(2, 2\)"):
        models.RelativeBias(2, rates=torch.zeros(2, 3))


def test_rotary_tells_a_sentence_from_its_mirror_image_and_no_positions_do_not():
    ids = torch.randint(3, 200, (1, 12, 1), generator=torch.Generator().manual_seed(0))
    rotary, bag = (models.intent_model(name, 251).eval() for name in ("rotary", "no places"))
    with torch.no_grad():
        assert (rotary(ids) - rotary(ids.flip(1))).abs().max() > 1e-3
        torch.testing.assert_close(bag(ids), bag(ids.flip(1)))


def test_the_weight_by_distance_is_that_of_a_loop_over_the_pairs_of_a_sentence():
    lengths = torch.tensor([7, 4, 1])
    maps = torch.rand(3, 2, 3, 7, 7, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    found = models.weight_by_distance(maps, lengths, (-6, -1, 0, 2))
    for at, distance in enumerate((-6, -1, 0, 2)):
        pairs = [
            maps[b, :, :, i, i + distance] for b, n in enumerate(lengths) for i in range(n) if 0 <= i + distance < n
        ]
        torch.testing.assert_close(found[..., at], torch.stack(pairs).mean(dim=0))


def test_the_share_of_same_answers_is_that_of_sentences_read_one_by_one():
    test, model = tasks.intents("test", language="zh", size=20), models.trained_intent_model("learned")
    reader, greeting = models.SentenceReader(model, test), "您好，"
    same = [reader.read(greeting + e.sentence).answer == reader.read(e.sentence).answer for e in test.examples]
    found = models.same_answers(model, test.batch(range(20)), test.encode(greeting).inputs[0])
    assert found == pytest.approx(sum(same) / 20) and 0 < found < 1


def test_a_models_layer_norms_are_exchanged_in_a_copy():
    model = models.trained_intent_model("relative")
    ids = torch.randint(3, 200, (2, 9, 1), generator=torch.Generator().manual_seed(0))
    same = models.with_norm(model, lambda x, gain, eps: torch.nn.functional.layer_norm(x, x.shape[-1:], gain, eps=eps))
    none = models.with_norm(model, lambda x, gain, eps: x * gain)
    with torch.no_grad():
        torch.testing.assert_close(same(ids), model(ids))
        assert (none(ids) - model(ids)).abs().max() > 0.1


def test_the_share_of_a_clause_is_that_of_a_loop_over_its_words():
    test = tasks.intents("test", language="zh", size=30)
    batch = test.batch(range(30))
    maps = torch.rand(30, 2, 3, batch.inputs.shape[1], batch.inputs.shape[1]).softmax(dim=-1)
    mark = batch.marks["negation"]
    means = []
    for b, clauses in enumerate(batch.clause_of.tolist()):
        shares = []
        for i, clause in enumerate(clauses):
            marked = [j for j, other in enumerate(clauses) if other == clause >= 0 and mark[b, j]]
            if marked and not mark[b, i]:
                shares.append(maps[b, :, :, i, marked].sum(dim=-1))
        if shares:
            means.append(torch.stack(shares).mean(dim=0))
    torch.testing.assert_close(models.clause_share(maps, batch, mark), torch.stack(means).mean(dim=0))


def test_marks_that_are_moved_stay_in_their_clause_in_their_number():
    batch = tasks.intents("test", language="zh", size=50).batch(range(50))
    mark = batch.marks["negation"]
    moved = models.elsewhere(batch, mark, torch.Generator().manual_seed(0))
    for b in range(50):
        for clause in range(int(batch.clause_of[b].max()) + 1):
            here = batch.clause_of[b] == clause
            assert moved[b, here].sum() == mark[b, here].sum()
    assert not torch.equal(moved, mark)


@pytest.mark.parametrize("every, expected", [(0, 0), (2, 5), (5, 2)])
def test_every_so_many_th_batch_is_of_the_new_sentences(every, expected):
    old, new = tasks.intents("validation", language="zh"), tasks.intents("double test", language="zh")
    draw, generator = models.with_every(every, new, old), torch.Generator().manual_seed(0)
    said = {tuple(tokens.tolist()) for tokens in new.everything.inputs[..., 0]}
    width = new.everything.inputs.shape[1]
    from_new = 0
    for _ in range(10):
        rows = torch.nn.functional.pad(draw(4, generator).inputs[..., 0], (0, width))[:, :width]
        from_new += all(tuple(row.tolist()) in said for row in rows)
    assert from_new == expected
