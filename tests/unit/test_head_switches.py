"""HeadSwitches without a browser: it asks predict, keeps the answers, and says what it cannot show."""

import asyncio
import base64
import io
import threading

import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention
from mha_lab.widgets import HeadSwitches


class Model:
    """Predicts from how many heads are on in each layer, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, head_mask):
        assert head_mask.dtype == torch.float32
        self.asked.append(head_mask.tolist())
        return {"cat": head_mask.mean(), "dog": 1 - head_mask.mean()}


def switches(model=None, **options):
    return HeadSwitches(model or Model(), num_layers=2, num_heads=2, **options)


def test_a_head_that_is_off_adds_nothing_to_the_output():
    """The way of the docstring: what W^O reads of a head is 0, so that Σ headᵢ·W^Oᵢ lacks that head's term."""
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(8, 4), torch.randn(1, 3, 8)

    def predict(head_mask):
        gate = head_mask[0].repeat_interleave(layer.d_head)
        with layer.out_proj.register_forward_pre_hook(lambda _, heads: heads[0] * gate):
            return {str(i): value for i, value in enumerate(layer(x)[0, -1])}

    explorer = HeadSwitches(predict, num_layers=1, num_heads=4, off=[(0, 1), (0, 2), (0, 3)])
    value = layer.v_proj(x)[..., :2]
    weights = layer(x, need_weights=True)[1][0, 0]
    alone = (weights @ value[0])[-1] @ layer.out_proj.weight[:, :2].T + layer.out_proj.bias
    assert list(explorer.predictions.values()) == pytest.approx(alone.tolist(), abs=1e-6)


def test_all_on_and_each_head_alone_off_are_known_from_the_beginning():
    model = Model()
    explorer = switches(model)
    masks = [[[1, 1], [1, 1]], [[0, 1], [1, 1]], [[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 1], [1, 0]]]
    assert model.asked == masks
    assert [off for off, _ in explorer._answers] == [[], [[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]]
    assert explorer._answers[1][1] == [["", "cat", 0.75], ["", "dog", 0.25]]
    assert explorer.predictions == {"cat": 1.0, "dog": 0.0}


def test_what_was_asked_once_is_not_asked_again():
    model = Model()
    explorer = switches(model)
    explorer.off = [(1, 0), (0, 1)]
    assert model.asked[-1] == [[1, 0], [0, 1]] and explorer.predictions == {"cat": 0.5, "dog": 0.5}
    asked = len(model.asked)
    for off in [], [(0, 1)], [(0, 1), (1, 0)], [(1, 0), (0, 1), (0, 1)]:
        explorer.off = off
    assert len(model.asked) == asked and explorer.off == [[0, 1], [1, 0]]


def test_predict_runs_in_the_thread_of_the_cell_and_only_for_the_newest_state():
    model, threads = Model(), set()

    def predict(mask):
        threads.add(threading.current_thread())
        return model(mask)

    async def cell():
        explorer = switches(predict)
        asked = len(model.asked)

        def messages():
            for off in [[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 0], [1, 1]]:
                explorer.off = off

        messages_thread = threading.Thread(target=messages)  # a subshell's, while the cell goes on
        messages_thread.start()
        messages_thread.join()
        await asyncio.sleep(0.01)  # the cell ends
        return explorer.predictions, model.asked[asked:]

    assert asyncio.run(cell()) == ({"cat": 0.5, "dog": 0.5}, [[[0, 1], [1, 0]]])
    assert threads == {threading.current_thread()}


def test_each_head_alone_is_tried_only_where_it_is_wanted_and_quick(monkeypatch):
    for options in {"num_heads": 65}, {"num_heads": 2, "precompute": False}:
        model = Model()
        HeadSwitches(model, num_layers=1, **options)
        assert len(model.asked) == 1
    seconds = iter([0.0, 2.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    model = Model()
    HeadSwitches(model, num_layers=1, num_heads=3)  # 3 × 2 s are more than 5
    assert len(model.asked) == 1


def test_several_examples_keep_their_order_and_their_names():
    answer = {"good film": {"7": 0.9, "3": torch.tensor([0.1])}, "bad film": {"7": 0, "3": 1}}
    explorer = switches(lambda mask: answer)
    assert explorer._answer[1] == [
        ["good film", "7", pytest.approx(0.9)],
        ["good film", "3", pytest.approx(0.1)],
        ["bad film", "7", 0.0],
        ["bad film", "3", 1.0],
    ]
    assert list(explorer.predictions) == ["good film", "bad film"]


def test_an_error_of_predict_becomes_the_message_and_passes():
    def predict(mask):
        if mask.sum() <= 2:
            raise RuntimeError("out of heads")
        return {"cat": 1.0}

    explorer = switches(predict)
    explorer.off = [(0, 0), (0, 1)]
    assert explorer.message == "predict failed with RuntimeError: out of heads"
    assert explorer.predictions == {} and explorer._answer == [[[0, 0], [0, 1]], []]
    explorer.off = []
    assert explorer.message == "" and explorer.predictions == {"cat": 1.0}


@pytest.mark.parametrize(
    "answer, words",
    [
        (None, "predict returned nothing: it must return {name: number}"),
        ({}, "predict returned nothing"),
        ([0.1, 0.9], "predict returned list"),
        ({"cat": "high"}, "predict returned str for 'cat'"),
        ({"cat": torch.zeros(2)}, "predict returned Tensor for 'cat': it must be one number"),
        ({"cat": float("nan")}, "predict returned nan for 'cat'"),
        ({"a": {}}, "predict returned 0 numbers"),
        (dict.fromkeys(range(41), 0), "predict returned 41 numbers: the explorer shows 1 to 40"),
    ],
)
def test_an_answer_that_cannot_be_shown_is_refused_in_one_sentence(answer, words):
    with pytest.raises(ValueError) as problem:
        switches(lambda mask: answer)
    assert str(problem.value).startswith(words)


def test_an_error_with_all_heads_on_is_the_cells_error():
    with pytest.raises(ZeroDivisionError):
        switches(lambda mask: {"cat": 1 / 0})


def test_heads_that_the_model_does_not_have_are_refused():
    explorer = switches()
    for off, words in (
        ([(2, 0)], "there is no head 0 in layer 2: layers are 0 to 1, heads 0 to 1"),
        ([(0, -1)], "no head -1"),
        ([3], "3 is no head: a head is a pair"),
        ([(0, 1, 1)], "is no head"),
    ):
        with pytest.raises(TraitError, match=words):
            explorer.off = off
    with pytest.raises(TraitError, match="no head 5"):
        switches(labels={(0, 5): "looks back"})
    for sizes in (0, 4), (33, 32):
        with pytest.raises(ValueError, match="it shows 1 to 1,024 heads"):
            HeadSwitches(Model(), num_layers=sizes[0], num_heads=sizes[1])


@pytest.mark.parametrize("layers, heads", [(1, 1), (2, 4), (12, 12), (1, 64), (32, 32)])
def test_the_picture_shows_every_size_and_any_text(layers, heads):
    scores = {"\n": 2.0, "": -1.5, "<img src=x onerror=alert(1)>": 0.0, "غرفة 🙂": 1.0, "word " * 40: 0.5}
    explorer = HeadSwitches(lambda mask: {"a\nb": scores}, num_layers=layers, num_heads=heads)
    before = explorer.picture()[0]
    explorer.off = [(0, 0)]
    data, metadata = explorer._repr_mimebundle_()
    picture = base64.b64decode(data["image/png"])
    assert picture != before
    assert Image.open(io.BytesIO(picture)).width == 2 * metadata["image/png"]["width"]
    assert data["text/plain"] == repr(explorer) and "0x" not in repr(explorer)


def test_repr_says_sizes_and_state():
    assert repr(switches(off=[(0, 1)])) == "HeadSwitches(2 layers of 2 heads, 1 off; 2 predictions)"
