"""What the explorers promise without a browser: traits, bytes, pictures, and clear words for bad input."""

import base64
import io
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, attention, causal_mask, split_heads, widgets, window_mask
from mha_lab.pretrained import PROJECTION_LAYER, recorded, recorded_projection
from mha_lab.widgets import AttentionStepper, HeadExplorer, _picture
from mha_lab.widgets._base import DIFFERENCE
from mha_lab.widgets._picture import colour_table

WORDS = ["trophy", "suitcase", "it"]
KEY = np.array([[2, 0, 2, 0], [2, 2, 0, 0], [1, 0, 0, 1]])
QUERY = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, -1]])
VALUE = np.array([[10, 0], [0, 10], [0, 0]])


def recording(sentence="the cat saw the dog", layers=2, heads=3, seed=0, n=None):
    tokens = sentence.split()
    n = len(tokens) if n is None else n
    scores = torch.randn(layers, heads, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return SimpleNamespace(sentence=sentence, tokens=tokens, weights=scores.softmax(dim=-1))


def projection(n=3, d=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query, key = torch.randn(2, n, d, generator=generator, dtype=torch.float32)
    return query, key


def from_projection(**options):
    return HeadExplorer.from_projection(*projection(), WORDS, **options)


def png_of(widget):
    data, metadata = widget._repr_mimebundle_()
    png = base64.b64decode(data["image/png"])
    return Image.open(io.BytesIO(png)), metadata["image/png"]["width"], data


def crossed(n=4, s=6, seed=0, **changes):
    """Cross-attention: n words look at s others."""
    scores = torch.randn(2, 3, n, s, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    words = [[f"{side}{i}" for i in range(count)] for side, count in (("q", n), ("k", s))]
    given = {"sentence": "crossed", "tokens": words[0], "context": words[1], "weights": scores.softmax(dim=-1)}
    return SimpleNamespace(**given | changes)


class Model:
    """Reads a sentence as the real model would, or refuses it."""

    def read(self, sentence):
        if len(sentence.split()) > 6:
            raise ValueError("the sentence has 9 tokens, and the model takes at most 6: shorten it.")
        return recording(sentence, seed=1)


def type_into(explorer, sentence):
    """What the browser sends when a learner presses the button; gives what is sent back."""
    answers = []
    explorer.send = answers.append
    explorer._handle_custom_msg({"kind": "read", "sentence": sentence}, [])
    return answers


def every_explorer():
    reading = SimpleNamespace(
        **vars(recording()),
        shares=np.full(5, 0.2),
        probabilities=np.array([0.25, 0.75]),
        names=["no", "yes"],
        message="",
    )
    return (
        HeadExplorer([recording()]),
        from_projection(num_heads=2),
        HeadExplorer.from_trained({1: recording(heads=1), 2: recording(heads=2)}, d_model=4),
        AttentionStepper(QUERY, KEY, VALUE, WORDS),
        widgets.OutputMixer(np.ones((2, 3, 2)), np.ones((4, 5)), WORDS),
        widgets.IntentExplorer([reading]),
        widgets.HeadSwitches(lambda head_mask: {"sum": head_mask.sum()}, num_layers=1, num_heads=4),
    )


@pytest.mark.parametrize("explorer", every_explorer(), ids=repr)
def test_what_an_explorer_shows_cannot_be_changed_under_it(explorer):
    """Neither from Python nor by a message from a page; its picture is as it was."""
    assert explorer.fixed
    before = explorer.picture()[0]
    for name in explorer.fixed:
        value = getattr(explorer, name)
        other = (
            value + type(value)([0])
            if isinstance(value, bytes)
            else {int: 7, bool: not value, list: ["x"]}.get(type(value))
        )
        if name == "source":
            other = "projection" if value == "recorded" else "recorded"
        with pytest.raises(TraitError, match=f"{name} belongs to what this explorer shows"):
            setattr(explorer, name, other)
        with pytest.raises(TraitError, match=f"{name} belongs to what this explorer shows"):
            explorer.set_state({name: other})
        assert getattr(explorer, name) == value
        setattr(explorer, name, value)
    assert explorer.picture()[0] == before


@pytest.mark.parametrize("explorer", every_explorer(), ids=repr)
@pytest.mark.parametrize(
    "message",
    [None, 3, [], {}, {"kind": 3}, {"kind": "exact"}, {"kind": "exact", "id": 3}]
    + [
        {"kind": "exact", "id": rows}
        for rows in (["no such", 0, 0, 1], ["the cat saw the dog", 9, 0, 1], [[], 0, 0, 1])
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(explorer, message):
    answers, before = [], explorer.picture()[0]
    explorer.send = answers.append
    explorer._handle_custom_msg(message, [])
    assert not answers and explorer.picture()[0] == before


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: HeadExplorer(recording()), r"recordings is one SimpleNamespace; .* a list of them: \[recording\]"),
        (lambda: HeadExplorer.from_projection(*projection(), None), "tokens is None; it must be a list of 3 words"),
        (lambda: from_projection(mask=torch.ones(3, 3, device="meta")), "mask is no array of True and False: .* meta"),
        (
            lambda: AttentionStepper(torch.ones(3, 4, device="meta"), KEY, VALUE, WORDS),
            "query is not .* on the device meta",
        ),
        (lambda: widgets.HeadSwitches(3, num_layers=1, num_heads=1), "predict is the int 3; it must be a function"),
        (
            lambda: widgets.HeadSwitches(dict, num_layers="1", num_heads=1),
            "num_layers is the str '1'; it must be a whole",
        ),
    ],
)
def test_other_kinds_of_things_are_refused_in_one_sentence(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# ---------------------------------------------------------------------------------------------------- recorded heads


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_shown_as_its_numbers(dtype):
    half = recording()
    half.weights = half.weights.to(dtype).requires_grad_()
    assert np.array_equal(HeadExplorer([half]).weights, half.weights[0].float().detach())
    query, key = (data.to(dtype) for data in projection())
    exact = HeadExplorer.from_projection(query.float(), key.float(), WORDS, num_heads=3)
    assert np.array_equal(HeadExplorer.from_projection(query, key, WORDS, num_heads=3).weights, exact.weights)
    given = [torch.tensor(data).to(dtype) for data in (QUERY, KEY, VALUE)]
    assert AttentionStepper(*given, WORDS).stages["output"].tolist() == pytest.approx(
        AttentionStepper(QUERY, KEY, VALUE, WORDS).stages["output"].tolist()
    )
    mixer = widgets.OutputMixer(torch.ones(2, 3, 2, dtype=dtype), torch.ones(4, 5, dtype=dtype), WORDS)
    assert mixer.mix["sum"].tolist() == [4.0] * 5


def test_a_batch_of_one_as_transformers_gives_it_is_a_recording():
    """A tuple of (1, H, N, N), one for each layer; of a larger batch the sentence says how to take one."""
    one = recording()
    batched = SimpleNamespace(**vars(one) | {"weights": tuple(layer[None] for layer in one.weights)})
    assert np.array_equal(HeadExplorer([batched], layer=1).weights, one.weights[1])
    batched.weights = tuple(layer.expand(2, -1, -1, -1) for layer in one.weights)
    with pytest.raises(ValueError, match=r"\(2, 2, 3, 5, 5\), .* with a batch of 2: .* such as \[layer\[0\] for layer"):
        HeadExplorer([batched])
    for nothing in (None, (None, None)):
        batched.weights = nothing
        with pytest.raises(ValueError, match='weights is None: .*attn_implementation="eager".*output_attentions=True'):
            HeadExplorer([batched])


def test_rows_that_are_no_attention_say_what_usually_makes_them():
    layer, x = MultiHeadAttention(12, 3, dropout=0.2), torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(0))
    words = torch.tensor([[[False, True, True, True, True]]])

    def shown(weights, **options):
        given = SimpleNamespace(sentence="a b c d e", tokens=list("abcde"), weights=weights)
        return HeadExplorer([given], **options)

    padded = layer.eval()(x, mask=words, causal=True, need_weights=True)[1]
    with pytest.raises(
        ValueError, match=r"row 0 is not attention: .* sum 0\. .* is shown with mask=, where True = may"
    ):
        shown(padded)
    shown(padded, mask=causal_mask(5) & words[0])
    with pytest.raises(ValueError, match=r"Dropout leaves such rows: call \.eval\(\) on the model"):
        shown(layer.train()(x, need_weights=True)[1])
    with pytest.raises(ValueError, match=r"Scores become weights by softmax\(dim=-1\)"):
        shown(torch.linspace(-1, 1, 75).view(1, 3, 5, 5))


def test_a_sentence_that_is_not_there_is_named_whatever_else_is_asked_for():
    for options in ({}, {"hidden": ["the₂"]}, {"pinned": [1]}, {"layer": 1}):
        with pytest.raises(TraitError, match="'typo' is not among the 1 sentence; read"):
            HeadExplorer([recording()], sentence="typo", **options)


def test_weights_are_sent_once_with_one_byte_each_finest_where_they_are_small():
    first, second = recording(), recording("it was too big", seed=1)
    explorer = HeadExplorer([first, second])
    for source, packed in zip((first, second), explorer._recordings):
        exact = source.weights.numpy()
        assert len(packed["weights"]) == exact.size
        told = (np.frombuffer(packed["weights"], np.uint8).reshape(exact.shape) / 255.0) ** 2
        assert (np.abs(told - exact) <= np.sqrt(exact) / 255 + 1e-5).all()
    assert explorer._added == []


def test_the_weights_of_a_long_sentence_are_deflated():
    long = " ".join(f"w{i}" for i in range(300))
    short, deflated = recording(), recording(long, heads=2)
    told, explorer = HeadExplorer([short]), HeadExplorer([deflated])
    sent, exact = explorer._recordings[0]["weights"], deflated.weights.numpy()
    assert len(sent) < 0.6 * exact.size
    bytes_ = np.frombuffer(zlib.decompress(sent), np.uint8).reshape(exact.shape)
    assert (np.abs((bytes_ / 255.0) ** 2 - exact) <= np.sqrt(exact) / 255 + 1e-5).all()
    assert len(told._recordings[0]["weights"]) == short.weights.numel(), (
        "a short one is there at once, without inflating"
    )


def test_python_has_the_exact_weights_and_tells_them_row_by_row():
    first, second = recording(), recording("it was too big", seed=1)
    explorer = HeadExplorer([first, second], layer=1)
    np.testing.assert_array_equal(explorer.weights, first.weights[1])
    explorer.sentence = second.sentence
    np.testing.assert_array_equal(explorer.weights, second.weights[1])
    answers = []
    explorer.send = lambda content, buffers: answers.append((content, buffers))
    asked = [first.sentence, 1, 2, 4]
    explorer._handle_custom_msg({"kind": "exact", "id": asked}, [])
    [(content, [told])] = answers
    assert content == {"kind": "exact", "id": asked}
    np.testing.assert_array_equal(np.frombuffer(told, np.float32).reshape(3, 2, 5), first.weights[1][:, 2:4])


def test_the_recorded_heads_of_minilm_are_shown_as_they_are():
    recordings = recorded()
    explorer = HeadExplorer(recordings, layer=1)
    assert explorer.sentence == "the trophy did not fit in the suitcase because it was too big"
    tokens = recordings[0].tokens
    it, suitcase = tokens.index("it"), tokens.index("suitcase")
    assert explorer.weights[3, it, 1:].argmax() + 1 == suitcase, "head 1.3: it → suitcase, [CLS] aside"
    np.testing.assert_allclose(explorer.weights, recordings[0].weights[1], atol=1e-5)


def test_a_typed_sentence_is_read_by_the_model_added_to_the_menu_and_shown():
    explorer = HeadExplorer([recording()], model=Model(), layer=1)
    answers = type_into(explorer, "  a new sentence ")
    assert answers == [{"kind": "answered"}]
    assert (explorer.sentence, explorer.message, explorer.layer) == ("a new sentence", "", 1)
    assert [packed["tokens"] for packed in explorer._added] == [["a", "new", "sentence"]]
    np.testing.assert_allclose(explorer.weights, Model().read("a new sentence").weights[1], atol=1e-5)
    type_into(explorer, "a new sentence")
    assert len(explorer._added) == 1, "a known sentence is shown, not read again"


@pytest.mark.parametrize(
    "sentence, words",
    [("", "empty"), ("one two three four five six seven", "at most 6"), ("the cat saw the dog", "")],
    ids=["empty", "too long", "known"],
)
def test_what_the_model_refuses_is_told_in_the_widget(sentence, words):
    explorer = HeadExplorer([recording()], model=Model())
    assert type_into(explorer, sentence) == [{"kind": "answered"}]
    assert words in explorer.message and bool(explorer.message) == bool(words)
    assert explorer.sentence == "the cat saw the dog"


def test_without_a_model_the_box_says_how_to_get_one():
    explorer = HeadExplorer([recording()])
    assert not explorer.can_read and "make models" in explorer.how_to_read
    type_into(explorer, "something new")
    assert explorer.message == explorer.how_to_read
    assert HeadExplorer([recording()], how_to_read="Ask your teacher.").how_to_read == "Ask your teacher."
    assert HeadExplorer([recording()], model=Model()).can_read


def test_a_model_can_be_loaded_when_it_is_first_needed():
    loaded = []

    def load():
        loaded.append(True)
        return Model()

    explorer = HeadExplorer([recording()], model=load)
    assert explorer.can_read and not loaded and not explorer.loaded, "the page says that the first sentence takes long"
    type_into(explorer, "a new sentence")
    type_into(explorer, "and one more")
    assert explorer.sentence == "and one more" and len(loaded) == 1 and explorer.loaded

    def missing():
        raise ImportError("the real MiniLM is not installed: run `make models`.")

    explorer = HeadExplorer([recording()], model=missing)
    type_into(explorer, "a new sentence")
    assert explorer.message == "the real MiniLM is not installed: run `make models`."
    with pytest.raises(ValueError, match="model is int"):
        HeadExplorer([recording()], model=5)


def test_a_model_of_another_shape_is_told_too():
    explorer = HeadExplorer([recording(heads=4)], model=Model())
    type_into(explorer, "a new sentence")
    assert "(2, 3)" in explorer.message and "(2, 4)" in explorer.message


# ---------------------------------------------------------------------------------------------------- cross-attention


def test_cross_attention_is_shown_as_it_is_rows_for_the_words_that_ask():
    source = crossed()
    explorer = HeadExplorer([source], layer=1)
    np.testing.assert_array_equal(explorer.weights, source.weights[1])
    assert explorer._recordings[0]["context"] == source.context
    explorer.hovered = [2, 3, 5]
    with pytest.raises(TraitError, match=r"below .3, 4, 6."):
        explorer.hovered = [2, 4, 5]


def test_hiding_a_word_of_the_context_leaves_every_row():
    source = crossed()
    explorer = HeadExplorer([source], hidden=["k0", "k5"])
    left = source.weights[0][:, :, 1:5]
    np.testing.assert_allclose(explorer.weights[:, :, 1:5], left / left.sum(-1, keepdim=True), atol=1e-6)
    assert not explorer.weights[:, :, [0, 5]].any()
    with pytest.raises(TraitError, match="'q0' is not on show"):
        explorer.hidden = ["q0"]


def test_the_mask_of_cross_attention_has_the_shape_of_its_maps():
    allowed = torch.ones(4, 6, dtype=torch.bool)
    allowed[:, 4:] = False
    weights = crossed().weights.masked_fill(~allowed, 0.0)
    padded = crossed(weights=weights / weights.sum(dim=-1, keepdim=True))
    assert HeadExplorer([padded], mask=allowed)._allowed().tolist() == allowed.tolist()
    with pytest.raises(ValueError, match=r"\(6, 4\) and the maps \(4, 6\)"):
        HeadExplorer([padded], mask=allowed.T)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"context": ["too", "few"]}, "2 context words and weights for 6: each token needs its column"),
        ({"context": "one string"}, "context words is one string"),
        ({"context": None}, r"\(2, 3, 4, 6\); .* a .context of S words"),
        ({"tokens": ["too", "few"]}, "2 tokens and weights for 4"),
    ],
)
def test_cross_attention_that_does_not_fit_its_words_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        HeadExplorer([crossed(**changes)])


@pytest.mark.parametrize("n, s", [(1, 1), (2, 40), (40, 2), (20, 500), (500, 20)])
@pytest.mark.parametrize("pinned", [[], [1], [0, 2]])
def test_a_picture_of_cross_attention_fits_on_a_page(n, s, pinned):
    image, width, _ = png_of(HeadExplorer([crossed(n, s)], pinned=pinned))
    assert width <= 1000 and image.height < 2 * 1000


# ------------------------------------------------------------------------------------------------------- projections


@pytest.mark.parametrize("num_heads", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("causal", [False, True])
def test_maps_of_a_projection_are_the_attention_of_its_heads(num_heads, causal):
    query, key = projection()
    q, k = (split_heads(x.double()[None], num_heads) for x in (query, key))
    mask = torch.ones(3, 3, dtype=torch.bool).tril() if causal else None
    expected = attention(q, k, k, mask=mask)[1][0]
    np.testing.assert_allclose(from_projection(num_heads=num_heads, causal=causal).weights, expected, atol=1e-12)


def test_twelve_heads_of_the_recorded_projection_are_the_recorded_maps():
    explorer = HeadExplorer.from_projection(*recorded_projection(), num_heads=12)
    np.testing.assert_allclose(explorer.weights, recorded()[0].weights[PROJECTION_LAYER], atol=2e-5)


def test_tensors_arrays_and_lists_send_the_same_float32_bytes():
    query, key = projection()
    sent = {
        (e._query, e._key)
        for convert in (lambda x: x, lambda x: x.numpy(), lambda x: x.tolist(), lambda x: x.double().requires_grad_())
        for e in [HeadExplorer.from_projection(convert(query), convert(key), WORDS)]
    }
    assert sent == {(query.numpy().tobytes(), key.numpy().tobytes())}


def test_a_head_count_that_does_not_divide_is_refused_with_both_numbers():
    explorer = from_projection(num_heads=4)
    with pytest.raises(
        TraitError, match="d_model=12 cannot be split over num_heads=5; what divides it: 1, 2, 3, 4, 6, 12"
    ):
        explorer.num_heads = 5
    assert explorer.num_heads == 4


def test_fewer_heads_drop_the_pins_and_the_cell_that_are_gone():
    explorer = from_projection(num_heads=6, pinned=[1, 5])
    explorer.head, explorer.hovered = 5, [5, 0, 1]
    explorer.num_heads = 3
    assert (explorer.pinned, explorer.head, explorer.hovered) == ([1], 2, [])


def test_a_mask_joins_the_causal_one():
    mask = torch.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 0]], dtype=torch.bool)
    explorer = from_projection(mask=mask, causal=True)
    assert (explorer.weights[0] > 0).tolist() == [[True, False, False], [False, True, False], [False, False, False]]


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_a_window_is_window_mask(window, causal):
    allowed = window_mask(3, window) & (causal_mask(3) if causal else True)
    seen = from_projection(window=window, causal=causal).weights > 0
    assert (seen == allowed.numpy()).all()


def test_a_window_of_less_than_nothing_is_refused_in_words():
    with pytest.raises(TraitError, match="window=-1: 0 is no window"):
        from_projection().window = -1


@pytest.mark.parametrize("window", [2**53, 10**400])
def test_a_window_that_no_page_can_count_is_refused_in_words(window):
    with pytest.raises(TraitError, match="window=.*below 2..53"):
        from_projection(causal=True).window = window


# -------------------------------------------------------------------------------------------------------- hidden words


@pytest.mark.parametrize("masks", [{}, {"causal": True}, {"window": 2}])
def test_hiding_words_of_a_projection_is_masking_their_keys(masks):
    explorer = from_projection(num_heads=4, **masks)
    allowed = explorer._allowed()
    allowed = torch.ones(3, 3, dtype=torch.bool) if allowed is None else torch.from_numpy(allowed)
    explorer.hidden = ["trophy"]
    q, k = (split_heads(x.double()[None], 4) for x in projection())
    expected = attention(q, k, k, mask=allowed & torch.tensor([False, True, True]))[1][0]
    np.testing.assert_allclose(explorer.weights[:, 1:], expected[:, 1:], atol=1e-12)
    assert not explorer.weights[:, 0].any() and not explorer.weights[:, :, 0].any()


def test_hidden_words_of_a_recording_leave_rows_that_sum_to_1_in_the_old_proportions():
    source = recording()
    explorer = HeadExplorer([source], layer=1, hidden=["the₁", "dog"])
    left = source.weights[1][:, 1:4, 1:4]
    np.testing.assert_allclose(explorer.weights[:, 1:4, 1:4], left / left.sum(-1, keepdim=True), atol=1e-6)


def test_a_hidden_word_stays_hidden_in_every_sentence_that_has_it():
    explorer = HeadExplorer([recording("the big cat"), recording("a big dog"), recording("big")], hidden=["big"])
    explorer.sentence = "a big dog"
    assert explorer._visible() == [0, 2]
    explorer.sentence = "big"
    assert explorer._visible() == [0], "a map with nothing in it helps nobody"
    explorer.sentence = "the big cat"
    explorer.hidden = ["big", "dog"]
    assert explorer._visible() == [0, 2]


# ----------------------------------------------------------------------------------------------------- state is traits


def test_python_sets_and_observes_every_state():
    explorer = HeadExplorer([recording(), recording("it was too big")])
    seen = []
    names = ["sentence", "layer", "pinned", "hovered", "stretch", "head", "typed", "hidden"]
    explorer.observe(lambda change: seen.append(change["name"]), names)
    explorer.sentence, explorer.layer, explorer.pinned, explorer.hovered = "it was too big", 1, [2, 0], [2, 1, 3]
    explorer.stretch, explorer.head, explorer.typed, explorer.hidden = True, 2, "half a sent", ["it"]
    assert seen == names


@pytest.mark.parametrize(
    "trait, value, words",
    [
        ("layer", 2, "layers 0 to 1"),
        ("head", 3, "heads 0 to 2"),
        ("pinned", [0, 1, 2], "at most two"),
        ("pinned", [3], "0 to 2"),
        ("pinned", [1, 1], "different"),
        ("hovered", [0, 0], "head, query, key"),
        ("hovered", [0, 5, 0], "below"),
        ("sentence", "never read", "not among the 1"),
        ("num_heads", 4, "from_projection"),
        ("causal", True, "cannot be masked afterwards"),
        ("window", 2, "cannot be masked afterwards"),
        ("hidden", ["the"], "'the' is not on show; the words are .'the₁', 'cat'"),
        ("hidden", ["the₁", "cat", "saw", "the₂", "dog"], "leave one word"),
    ],
)
def test_a_state_that_cannot_be_is_refused_in_words(trait, value, words):
    explorer = HeadExplorer([recording()])
    before = getattr(explorer, trait)
    with pytest.raises(TraitError, match=words):
        setattr(explorer, trait, value)
    assert getattr(explorer, trait) == before


# ------------------------------------------------------------------------------------------------------------ the door


def spoiled(**changes):
    return SimpleNamespace(**{**vars(recording()), **changes})


def bad_weights(where, value):
    weights = recording().weights.clone()
    weights[where] = value
    return spoiled(weights=weights)


@pytest.mark.parametrize(
    "recordings, words",
    [
        ([], "0 recordings"),
        ([SimpleNamespace(sentence="a", tokens=["a"])], "no .weights"),
        ([spoiled(tokens=["too", "few"])], "2 tokens and weights for 5"),
        ([spoiled(tokens="the cat saw the dog")], "one string"),
        ([spoiled(tokens=["a", "b", "c", "d", 5])], "5 is int"),
        ([bad_weights((1, 2, 3), 0.5)], "layer 1, head 2, row 3 .* sum 2.5"),
        ([bad_weights((0, 0, 0, 0), float("nan"))], "nan at .0, 0, 0, 0."),
        ([bad_weights((0, 1, 4), torch.tensor([-1.0, 2, 0, 0, 0]))], "layer 0, head 1, row 4 .* smallest weight is -1"),
        ([spoiled(weights=torch.ones(5, 5))], r"shape \(5, 5\)"),
        ([spoiled(weights=torch.ones(2, 3, 5, 4) / 4)], r"\(2, 3, 5, 4\)"),
        ([spoiled(weights="dark")], "not a block of numbers"),
        ([spoiled(weights=torch.ones(2, 3, 0, 0), tokens=[])], r"\(2, 3, 0, 0\)"),
        ([recording(), recording("other heads", heads=4)], r"\(2, 4\) and the first recording \(2, 3\)"),
        ([recording(), recording()], "same sentence"),
    ],
)
def test_recordings_that_are_no_attention_are_refused_in_words(recordings, words):
    with pytest.raises(ValueError, match=words):
        HeadExplorer(recordings)


def test_a_mask_must_fit_the_maps_and_hide_only_weights_of_zero():
    n = 5
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    weights = recording().weights.masked_fill(~causal, 0.0)
    masked = spoiled(weights=weights / weights.sum(dim=-1, keepdim=True))
    assert HeadExplorer([masked], mask=causal)._recordings[0]["mask"] == causal.numpy().astype(np.uint8).tobytes()
    with pytest.raises(ValueError, match="masked cell has weight .* True = may attend"):
        HeadExplorer([masked], mask=causal.T)
    with pytest.raises(ValueError, match=r"\(4, 4\) and the maps \(5, 5\)"):
        HeadExplorer([masked], mask=np.ones((4, 4), bool))
    with pytest.raises(TypeError, match="must be boolean"):
        HeadExplorer([masked], mask=np.ones((n, n)))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((np.ones((3, 4)), np.ones((3, 5)), WORDS), r"query has shape \(3, 4\) and key \(3, 5\)"),
        ((np.ones((3, 4)), np.ones((3, 4)), WORDS[:2]), "2 tokens and rows of query and key for 3"),
        ((np.ones(4), np.ones(4), WORDS), r"\(4,\); it must be \(N, D\)"),
        ((np.full((3, 4), np.inf), np.ones((3, 4)), WORDS), "inf at"),
        ((np.ones((0, 4)), np.ones((0, 4)), []), "0 tokens"),
        ((np.ones((600, 4)), np.ones((600, 4)), ["a"] * 600), "600 tokens: an explorer shows 1 to 512"),
        (([[1, 2], [3]], [[1, 2], [3]], WORDS[:2]), "not a block of numbers"),
    ],
)
def test_projections_that_do_not_fit_are_refused_in_words(arguments, words):
    with pytest.raises(ValueError, match=words):
        HeadExplorer.from_projection(*arguments)


# --------------------------------------------------------------------------------------------- what a notebook stores

WIDGETS = {
    "recorded": lambda: HeadExplorer([recording()], layer=1),
    "projection": lambda: from_projection(num_heads=4),
    "stepper": lambda: AttentionStepper(QUERY, KEY, VALUE, WORDS, position=2),
}


def test_text_is_short_and_the_same_every_time():
    texts = {name: repr(make()) for name, make in WIDGETS.items()}
    assert texts == {name: repr(make()) for name, make in WIDGETS.items()}
    assert texts == {
        "recorded": "HeadExplorer(1 sentence, 2 layers × 3 heads; layer 1 shown)",
        "projection": "HeadExplorer(Q and K (3, 12) cut into 4 heads)",
        "stepper": "AttentionStepper(3 tokens, d_head 4; 'it' looks)",
    }


@pytest.mark.parametrize("make", WIDGETS.values(), ids=WIDGETS)
def test_a_picture_stands_beside_the_live_view(make):
    image, width, data = png_of(make())
    assert image.format == "PNG" and image.width == 2 * width <= 2000
    assert len(image.getcolors(1 << 24)) > 20, "an empty page"
    pixels, edge = np.asarray(image.convert("RGB")), 2 * _picture.MARGIN
    assert (pixels[:, :edge] == 255).all() and (pixels[:, -edge:] == 255).all(), "no margin"
    assert data["text/plain"] == repr(make())
    assert "model_id" in data["application/vnd.jupyter.widget-view+json"]


def test_the_picture_follows_the_state():
    explorer, stepper = from_projection(num_heads=4), AttentionStepper(QUERY, KEY, VALUE, WORDS)
    pictures = {explorer.picture()[0], stepper.picture()[0]}
    changes = ("num_heads", 6), ("causal", True), ("stretch", True), ("window", 2), ("hidden", ["it"])
    for trait, value in (*changes, ("pinned", [5]), ("pinned", [5, 1])):
        explorer.set_trait(trait, value)
        pictures.add(explorer.picture()[0])
    for trait, value in ("causal", True), ("position", 2), ("temperature", 0.1), ("stage", 2):
        stepper.set_trait(trait, value)
        pictures.add(stepper.picture()[0])
    assert len(pictures) == 13


@pytest.mark.parametrize("num_heads", [1, 384])
@pytest.mark.parametrize("n", [1, 2, 60])
def test_a_picture_is_drawn_for_few_and_many_heads_and_words(num_heads, n):
    query, key = projection(n, 384)
    image, _, _ = png_of(HeadExplorer.from_projection(query, key, ["word"] * n, num_heads=num_heads))
    assert image.height < 2 * 1000


def test_a_picture_of_many_words_fits_on_a_page_in_few_bytes():
    query, key = projection(512, 384)
    image, _, data = png_of(HeadExplorer.from_projection(query, key, ["word"] * 512, num_heads=12))
    assert image.height < 2 * 1000 and len(data["image/png"]) < 500_000
    assert image.convert("RGB").getpixel((0, image.height - 1)) == (255, 255, 255)


@pytest.mark.parametrize("installed", [True, False])
def test_chinese_words_have_letters_in_the_picture_where_a_font_for_them_is_installed(installed, monkeypatch):
    if not installed:
        monkeypatch.setattr(_picture, "_wide_font", lambda: None)
    elif not _picture._wide_font():
        pytest.skip("no font with Chinese letters is installed")
    _picture._font.cache_clear()
    one, other = (_picture.font(12, text=word).getmask(word) for word in "我爱")
    assert (bytes(one) != bytes(other)) == installed, "boxes are all alike"
    assert _picture.font(12, text="cat").getname()[0] == "DejaVu Sans"
    _picture._font.cache_clear()


def test_the_colours_are_matplotlibs_cividis():
    cividis = colormaps["cividis"](np.arange(256))[:, :3] * 255
    assert np.abs(colour_table() - cividis).max() <= 2


LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
SEEN_BY = {  # linear RGB as it is seen without one kind of cone (Machado 2009, severity 1)
    "everybody": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("eye", SEEN_BY)
def test_a_larger_weight_is_lighter_in_greyscale_and_for_every_eye(eye):
    luminance = (colour_table() / 255.0) ** 2.2 @ np.transpose(SEEN_BY[eye]) @ LUMINANCE
    assert (luminance[2:] > luminance[:-2]).all(), "a weight larger by 0.01"
    assert luminance[-1] / luminance[0] > 20


@pytest.mark.parametrize("eye", SEEN_BY)
def test_the_two_sides_of_a_difference_are_told_apart_by_every_eye(eye):
    linear = (colour_table(DIFFERENCE) / 255.0) ** 2.2
    seen = linear.clip(0, 1) @ np.transpose(SEEN_BY[eye])
    below, above = seen[:96], seen[:159:-1]  # from the ends inwards, the same size on either side
    assert np.abs(below - above).max(axis=1).min() > 0.05


# --------------------------------------------------------------------------------------------------- AttentionStepper


def test_the_stages_of_the_worked_example():
    stages = AttentionStepper(QUERY, KEY, VALUE, WORDS, position=2).stages
    assert stages["scores"].tolist() == [4, 2, 0] and stages["scaled"].tolist() == [2, 1, 0]
    np.testing.assert_allclose(stages["weights"], [0.665, 0.245, 0.090], atol=5e-4)
    np.testing.assert_allclose(stages["output"], [6.65, 2.45], atol=5e-3)
    np.testing.assert_allclose(stages["terms"].sum(axis=0), stages["output"], atol=1e-12)


@pytest.mark.parametrize("temperature, winner", [(0.05, 1.0), (1000, 1 / 3)])
def test_a_low_temperature_saturates_and_a_high_one_levels(temperature, winner):
    stages = AttentionStepper(QUERY, KEY, VALUE, WORDS, position=2, temperature=temperature).stages
    assert stages["weights"][0] == pytest.approx(winner, abs=1e-3)


def test_masked_tokens_get_no_weight_and_a_row_without_any_gets_none():
    stepper = AttentionStepper(QUERY, KEY, VALUE, WORDS, causal=True, mask=~torch.eye(3, dtype=torch.bool))
    assert not stepper.stages["weights"].any() and not stepper.stages["output"].any()
    stepper.position = 2
    assert (stepper.stages["weights"] > 0).tolist() == stepper.stages["allowed"].tolist() == [True, True, False]


@pytest.mark.parametrize(
    "trait, value, words",
    [
        ("position", 3, "tokens are 0 to 2"),
        ("position", -1, "tokens are 0 to 2"),
        ("stage", 6, "1 to 5"),
        ("stage", 0, "1 to 5"),
        ("temperature", 0.0, "between"),
        ("temperature", float("nan"), "between"),
        ("temperature", 10**400, "^temperature=10{29}…: it must be a number between 0.001 and 1,000.$"),
        ("temperature", "hot", "^temperature=.hot.: it must be a number between 0.001 and 1,000.$"),
    ],
)
def test_a_step_that_cannot_be_is_refused_in_words(trait, value, words):
    stepper = AttentionStepper(QUERY, KEY, VALUE, WORDS)
    with pytest.raises(TraitError, match=words):
        setattr(stepper, trait, value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"query": QUERY[:2]}, r"query has shape \(2, 4\) and key \(3, 4\)"),
        ({"value": VALUE[:2]}, r"key has shape \(3, 4\) and value \(2, 2\)"),
        ({"tokens": WORDS[:2]}, "2 tokens"),
        (
            {"query": np.ones((40, 4)), "key": np.ones((40, 4)), "value": np.ones((40, 4)), "tokens": ["a"] * 40},
            "1 to 32",
        ),
        ({"value": np.full((3, 2), np.nan)}, "nan at"),
    ],
)
def test_a_stepper_that_does_not_fit_is_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        AttentionStepper(**{"query": QUERY, "key": KEY, "value": VALUE, "tokens": WORDS, **change})
