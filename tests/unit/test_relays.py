"""Stacks of windows: how far they reach, and what the record of their trainings holds."""

import pytest
import torch

from mha_lab import long_sequences, models, tasks
from mha_lab.models.relays import KINDS, Stack

CONTRACT = tasks.document(16, 3)


def stack(windows, **options):
    torch.manual_seed(0)
    return Stack(CONTRACT, windows, **options).double()


@pytest.mark.parametrize("windows", [[3], [3, 3], [2, 4, 3], [1]])
def test_a_stack_reaches_the_sum_of_its_windows_and_not_a_token_farther(windows):
    model, inputs = stack(windows, mlp=8), CONTRACT.draw(2, torch.Generator().manual_seed(0)).inputs
    reach = sum(width - 1 for width in windows)
    other = inputs.clone()
    other[:, 0, 0] = (inputs[:, 0, 0] + 1) % CONTRACT.vocabularies[0]
    changed = (model(inputs)[0] - model(other)[0]).abs().amax(dim=(0, 2)) > 0
    assert changed.nonzero().flatten().tolist() == list(range(reach + 1))


def test_a_stack_without_windows_is_a_causal_encoder():
    sizes = {"num_heads": 2, "num_layers": 2, "causal": True, "positions": models.Sinusoidal(64)}
    encoder = models.Encoder(CONTRACT.vocabularies, CONTRACT.answers, **sizes).double()
    model, inputs = stack([None, None]), CONTRACT.draw(2, torch.Generator().manual_seed(0)).inputs
    model.load_state_dict(encoder.state_dict())
    for found, expected in zip(model(inputs), encoder(inputs)):
        torch.testing.assert_close(found, expected)


def test_right_beyond_counts_far_names_only():
    batch, model = CONTRACT.draw(50, torch.Generator().manual_seed(1)), stack([None])
    back = tasks.far_distance(batch.right)
    answer = batch.targets[..., -1].clamp(min=0).clone()
    answer[back <= 5] += 1  # wrong wherever the name is near
    model.forward = lambda inputs: [torch.nn.functional.one_hot(answer % 10, 10)]
    assert model.right_beyond(batch, 5) == 1 and 0 < model.right_beyond(batch, 3) < 1


def test_ids_that_a_stack_does_not_know_are_refused():
    with pytest.raises(ValueError, match="feature"):
        stack([2])(torch.full((1, 16, 3), 99))


def test_the_record_holds_every_kind_with_the_same_seeds_but_one():
    relays = long_sequences.recorded_relays()
    seeds = {kind: [relay.seed for relay in relays if relay.kind == kind] for kind in KINDS}
    assert seeds.pop("four windows of 16, MLPs") == [0] and all(found == [0, 1] for found in seeds.values())
    for relay in relays:
        assert all(0 <= share <= 1 for share in (relay.near, relay.far, relay.beyond))
