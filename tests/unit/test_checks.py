"""The exercise engine: what a learner is told, for everything a learner may hand in."""

import ast
import base64
import linecache
import math
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner

from mha_lab import checks, pretrained
from mha_lab.checks.compare import difference
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.returned import a_thing


def split_heads_right(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def split_heads_wrong(x, num_heads):
    return x.reshape(x.shape[0], num_heads, x.shape[1], -1)


@exercise(
    stars=1,
    minutes=5,
    hint="Which two dimensions become one?",
    cases=lambda: [tuple(seeded(0, s)) for s in ((2, 2, 4, 3), (1, 3, 5, 4), (3, 4, 2, 2), (2, 1, 6, 5), (2, 3, 3, 2))],
    parts={"tokens": ("batch", "token", "column")},
)
def merged(x):
    """x (B, H, N, K) → (B, N, H·K); an exercise of these tests alone."""
    return x.transpose(1, 2).flatten(2)


@merged.mistake("The heads are interleaved. Which of H and K has to be the last dimension when they are joined?")
def features_first(x):
    return x.permute(0, 2, 3, 1).flatten(2)


# ------------------------------------------------------------------------------------------- stubs, and no answer


def stub_of_dots(x, num_heads): ...


def stub_with_a_task(x, num_heads):
    """(B, N, D) → (B, H, N, K)"""
    ...  # noqa: PIE790


def stub_that_passes(x, num_heads):
    pass


def stub_that_raises(x, num_heads):
    """(B, N, D) → (B, H, N, K)"""
    raise NotImplementedError("your turn")


@pytest.mark.parametrize("stub", [stub_of_dots, stub_with_a_task, stub_that_passes, stub_that_raises])
def test_an_untouched_stub_is_not_attempted_rather_than_wrong(stub):
    result = checks.split_heads(stub)
    assert result.state == "untouched" and not result.passed and not result
    assert result.verdict == "not attempted yet"


def test_code_that_returns_nothing_is_not_taken_for_a_stub():
    def forgot(x, num_heads):
        x.unflatten(-1, (num_heads, -1)).transpose(1, 2)

    def only_sometimes(x, num_heads):
        if x.shape[0] > 1:
            return split_heads_right(x, num_heads)

    result = checks.split_heads(forgot)
    assert result.state == "wrong" and result.lines == ("Your function returned nothing: is a `return` missing?",)
    result = checks.split_heads(only_sometimes)
    assert result.verdict == "not yet: right on 4 of 5 shapes"
    assert result.lines == (
        "Your function returned nothing for x (1, 5, 12), num_heads = 3, though it does return something for other "
        "inputs. Which way through it ends without a `return`?",
    )


def test_a_blank_left_in_the_code_is_seen():
    def half_done(x, num_heads):
        x = x.unflatten(-1, (num_heads, -1))
        return ...

    assert "is a blank still to be filled in?" in checks.split_heads(half_done).lines[0]


@pytest.mark.parametrize(
    "handed_in, words",
    [
        (None, "got None"),
        (torch.zeros(2, 3), "got a Tensor of shape (2, 3)"),
        ("split_heads", "got the str 'split_heads'"),
    ],
)
def test_anything_but_a_function_is_asked_for_the_function(handed_in, words):
    result = checks.split_heads(handed_in)
    assert not result.passed and words in result.lines[0] and "`checks.split_heads(split_heads)`" in result.lines[0]


def test_a_signature_that_does_not_fit_is_told_both_ways():
    def split_heads(x):
        return x

    assert checks.split_heads(split_heads).lines == (
        "The check calls `split_heads(x, num_heads)`; yours takes x. Do the arguments match the task?",
    )

    def no_mask(query, key, value, *, mask):
        return query

    assert "yours takes query, key, value, *, mask" in checks.masked_attention(no_mask).lines[0]


def test_more_arguments_with_defaults_are_welcome():
    assert checks.split_heads(lambda x, num_heads, verbose=False: split_heads_right(x, num_heads)).passed


# --------------------------------------------------------------------------------------------- what was returned


@pytest.mark.parametrize(
    "returned, words",
    [
        ("heads", "your function returned the str 'heads', and a tensor was asked for"),
        ([[1.0], [2.0, 3.0]], "your function returned a list of 2, and a tensor was asked for"),
        ({1: 2}, "your function returned a dict"),
    ],
)
def test_what_is_no_tensor_is_named(returned, words):
    def function(x, num_heads):
        return returned

    line = checks.split_heads(function).lines[0]
    assert words.lower() in line.lower() and line[0].isupper()


def test_one_result_where_two_were_asked_for_is_named():
    def output_only(query, key, value, mask):
        return query

    line = checks.masked_attention(output_only).lines[0]
    assert line == "Your function returned a Tensor of shape (4, 8), and the pair (output, weights) was asked for."


def test_a_wrong_shape_is_told_with_both_shapes_and_the_axis():
    def one_too_few(x, num_heads):
        return split_heads_right(x, num_heads)[:, :, :-1]

    line = checks.split_heads(one_too_few).lines[0]
    assert "yours has shape (2, 2, 3, 3), the target (2, 2, 4, 3): (batch, head, token, feature)" in line
    assert "Look at the axis token: 3 instead of 4." in line


def test_axes_that_changed_places_are_named():
    line = difference(np.zeros((2, 4, 3)), np.zeros((2, 3, 4)), ("batch", "head", "token"))
    assert "where do head and token belong?" in line


def test_a_missing_axis_is_counted():
    line = difference(np.zeros((2, 12)), np.zeros((2, 3, 4)), ("batch", "head", "token"))
    assert "Yours has 2 axes, the target 3." in line
    assert "Yours has 1 axis, the target 3." in difference(np.zeros(2), np.zeros((2, 3, 4)), "abc")


def test_the_first_difference_is_told_with_its_place_and_both_numbers():
    def last_head_off(query, key, num_heads):
        scores = checks.multi_head_scores.solution(query, key, num_heads).clone()
        scores[-1, -1, -1, -1] += 1
        return scores

    line = checks.multi_head_scores(last_head_off).lines[0]
    found = re.search(
        r"first difference at batch 1, head 1, query 3, key 4: yours is (\S+), the target (\S+) \(1 of 80", line
    )
    yours, target = (float(number.replace("−", "-")) for number in found.groups())
    assert math.isclose(yours - target, 1, abs_tol=2e-3)


def test_numbers_that_look_alike_get_more_digits():
    line = difference(np.array([0.1231]), np.array([0.12345]), ("key",))
    assert "yours is 0.123100, the target 0.123450" in line


@pytest.mark.parametrize("number, name", [(math.nan, "NaN"), (math.inf, "infinity"), (-math.inf, "−∞")])
def test_a_number_that_is_none_is_found_and_counted(number, name):
    def broken(query, keys, values):
        output = checks.one_query.solution(query, keys, values)
        output[-1] = number
        return output

    line = checks.one_query(broken).lines[0]
    assert f"yours has {name} at feature 1 (1 of 2 elements)" in line and "?" in line


def test_a_part_that_is_right_is_not_blamed():
    def output_wrong(query, key, value, mask):
        output, weights = checks.masked_attention.solution(query, key, value, mask)
        return output + 1, weights

    def weights_wrong(query, key, value, mask):
        output, weights = checks.masked_attention.solution(query, key, value, mask)
        return output, weights * 2

    assert "in the output, first difference" in checks.masked_attention(output_wrong).lines[0]
    assert "in the weights, first difference" in checks.masked_attention(weights_wrong).lines[0]


def without_mask(query, key, value, mask):
    weights = (query @ key.T / query.shape[1] ** 0.5).softmax(1)
    return weights @ value, weights


def test_weights_are_looked_at_before_the_output_they_explain():
    assert "in the weights, first difference" in checks.masked_attention(without_mask).lines[1]


def test_a_boolean_is_not_a_number_and_a_number_no_boolean():
    assert "True or False was asked for" in checks.causal_mask(lambda n: torch.ones(n, n)).lines[0]
    assert "True or False was asked for" in checks.causal_mask(lambda n: torch.ones(n, n).triu(1)).lines[0]
    assert (
        "numbers were asked for"
        in checks.split_heads(lambda x, num_heads: split_heads_right(x, num_heads) > 3).lines[0]
    )


def test_where_a_rearranged_number_came_from_is_told():
    line = checks.split_heads(lambda x, num_heads: split_heads_right(x, num_heads).flip(2)).lines[0]
    assert (
        "at batch 0, head 0, token 0, feature 0, yours has x's batch 0, token 3, column 0, "
        "the target x's batch 0, token 0, column 0 (48 of 48 elements are out of place)." in line
    )


def test_how_much_is_right_already_is_said():
    result = checks.split_heads(split_heads_wrong)
    assert result.verdict == "not yet: right on 1 of 5 shapes"  # the one with a single head


# ------------------------------------------------------------------------------------------- numpy, lists, inputs


def test_numpy_is_as_welcome_as_torch():
    def one_query(query, keys, values):
        scores = np.dot(keys, query) / np.sqrt(len(query))
        weights = np.exp(scores - scores.max(keepdims=True))
        return (weights / weights.sum()) @ values

    def split_heads(x, num_heads):  # says nothing of numpy, and yet only numpy's transpose takes four axes
        return x.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3)

    def causal_mask(n):
        return [[key <= query for key in range(n)] for query in range(n)]

    for function in one_query, split_heads, causal_mask:
        result = getattr(checks, function.__name__)(function)
        assert result.passed, result


def test_tensors_come_first_as_in_the_notebook_and_arrays_where_they_do_not_lead_on():
    given = []

    def one_query(query, keys, values):
        given.append(type(query))
        return np.ones(values.shape[1])

    checks.one_query(one_query)
    assert given[:10] == [torch.Tensor] * 5 + [np.ndarray] * 5


def test_torch_code_that_says_np_sqrt_is_judged_as_torch_code():
    def error_bars(quality):  # on an array, std would be that of all there are
        return quality.mean(1), quality.std(1) / np.sqrt(quality.shape[1])

    assert checks.error_bars(error_bars).passed


def test_where_tensors_and_arrays_both_raise_the_tensors_error_is_told():
    def masked_attention(query, key, value, mask):
        scores = query @ key.T / np.sqrt(key.shape[1])
        weights = scores.masked_fill(~mask, -np.inf).softmax(-1)
        return weights @ vlaue, weights  # noqa: F821

    assert "NameError: name 'vlaue' is not defined" in repr(checks.masked_attention(masked_attention))

    def merge_heads(x):
        x = x.transpose(0, 2, 1, 3)  # numpy's, and raises on a tensor
        B, N, H, K = x.shape
        return x.reshape(B, N, H * k)  # noqa: F821

    assert "NameError: name 'k' is not defined" in repr(merged(merge_heads))


def test_numpy_code_with_wrong_numbers_is_asked_about_its_numbers():
    def merge_heads(x):
        return x.transpose(0, 2, 3, 1).reshape(x.shape[0], x.shape[2], -1)

    assert "The heads are interleaved" in merged(merge_heads).lines[0]


def test_gradients_and_double_precision_do_not_matter():
    def split_heads(x, num_heads):
        return split_heads_right(x.double().requires_grad_(), num_heads)

    assert checks.split_heads(split_heads).passed


def test_writing_into_an_input_is_noticed_though_the_numbers_are_right():
    def one_query(query, keys, values):
        query /= query.shape[0] ** 0.5
        return (keys @ query).softmax(0) @ values

    result = checks.one_query(one_query)
    assert not result.passed
    assert "The numbers are right, but the input `query` came back changed" in result.lines[0]


def test_writing_into_an_input_is_mentioned_where_the_numbers_are_wrong_too():
    def one_query(query, keys, values):
        keys *= 2
        values += 1
        return (keys @ query).softmax(0) @ values

    assert "The inputs `keys` and `values` also came back changed" in checks.one_query(one_query).lines[-1]


def test_what_the_learner_prints_is_let_through(capsys):
    def split_heads(x, num_heads):
        print("shape:", tuple(x.shape))
        return split_heads_right(x, num_heads)

    assert checks.split_heads(split_heads).passed
    assert capsys.readouterr().out.startswith("shape: (2, 4, 6)\n")


def test_the_learners_random_numbers_are_not_touched():
    before = torch.get_rng_state()
    for function in split_heads_right, split_heads_wrong:
        checks.split_heads(function)
    checks.masked_attention(checks.masked_attention.solution)
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------------------------------------------- errors


def test_an_error_is_shown_with_the_learners_line():
    def split_heads(x, num_heads):
        B, N, D = x.shape
        heads = x.view(B, N, num_heads, D)  # a mistake
        return heads.transpose(1, 2)

    result = checks.split_heads(split_heads)
    number = split_heads.__code__.co_firstlineno + 2
    assert (
        result.lines[0]
        == f"Called with x (2, 4, 6), num_heads = 2, your code raises an error in line {number} of test_checks.py:"
    )
    assert result.lines[1].splitlines() == [
        f"{number}  heads = x.view(B, N, num_heads, D)  # a mistake",
        "RuntimeError: shape '[2, 4, 2, 6]' is invalid for input of size 48",
    ]


def test_the_line_is_the_learners_though_the_error_came_from_a_library():
    def one_query(query, keys, values):
        scores = torch.nn.functional.softmax(keys @ query, dim=3)
        return scores @ values

    assert "scores = torch.nn.functional.softmax(keys @ query, dim=3)" in repr(checks.one_query(one_query))


def test_an_error_in_the_learners_helper_is_shown_where_it_is():
    def helper(x):
        return x[:, :, :, 99]

    def merge_heads(x):
        return helper(x)

    assert "return x[:, :, :, 99]" in repr(merged(merge_heads))


def test_a_notebook_cell_is_called_your_cell_and_its_folder_is_not_shown():
    name = "/tmp/ipykernel_4711/1234567890.py"
    source = "def merge_heads(x):\n    joined = x.transpose(1, 2)\n    return joined.flaten(2)\n"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    cell = {}
    exec(compile(source, name, "exec"), cell)
    text = repr(merged(cell["merge_heads"]))
    assert "in line 3 of your cell:" in text and "3  return joined.flaten(2)" in text
    assert "AttributeError: 'Tensor' object has no attribute 'flaten'" in text
    assert "ipykernel" not in text and "/tmp" not in text


def test_an_error_on_some_shapes_only_is_still_an_error():
    def merge_heads(x):
        assert x.shape[1] != 4, "four heads are too many"
        return x.transpose(1, 2).flatten(2)

    result = merged(merge_heads)
    assert result.verdict == "not yet: right on 4 of 5 shapes"
    assert "Called with x (3, 4, 2, 2), your code raises" in result.lines[0]
    assert result.lines[1].endswith("AssertionError: four heads are too many")


def test_an_error_without_a_line_of_the_learners_is_told_without_one():
    result = checks.one_query(torch.nn.functional.bilinear)
    assert not result.passed and "your code raises an error:" in result.lines[0]


def test_addresses_are_left_out():
    def merge_heads(x):
        raise ValueError(f"cannot use {object()}")

    assert "ValueError: cannot use <object object>" in repr(merged(merge_heads))


def test_an_interrupt_is_not_caught():
    def merge_heads(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merged(merge_heads)


# ----------------------------------------------------------------------------------------------------- the card


class Page(HTMLParser):
    """Checks that tags nest, and collects what is in them."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.text, self.styles = [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.styles += [value for name, value in attributes if name == "style"]
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


RESULTS = {
    "untouched": lambda: checks.split_heads(stub_of_dots),
    "passed": lambda: checks.split_heads(split_heads_right),
    "wrong": lambda: checks.split_heads(split_heads_wrong),
    "passed with a picture": lambda: checks.causal_mask(as_a_learner(checks.causal_mask.solution)),
    "mask": lambda: checks.causal_mask(lambda n: torch.ones(n, n).triu().bool()),
    "weights": lambda: checks.masked_attention(lambda q, k, v, mask: (q @ k.T @ v, q @ k.T)),
    "weights of NaN": lambda: checks.masked_attention(lambda q, k, v, mask: (q @ k.T @ v, q @ k.T * math.nan)),
    "scores": lambda: checks.multi_head_scores(lambda q, k, h: 2 * checks.multi_head_scores.solution(q, k, h)),
    "scores of NaN": lambda: checks.multi_head_scores(
        lambda q, k, h: math.nan * checks.multi_head_scores.solution(q, k, h)
    ),
    "split, from nowhere": lambda: checks.split_heads(lambda x, h: split_heads_wrong(x, h) / 2 - 1),
    "paper": lambda: checks.layer_on_paper((64, 768**2, 1, 10_000, 8)),
    "error": lambda: checks.one_query(lambda query, keys, values: query @ values @ keys @ keys),
    "a head": lambda: checks.previous_token_head((2, 9), pretrained.recorded()),
    "a word": lambda: checks.where_it_looks("trophy", pretrained.recorded()),
}


@cache
def card(name):
    """Drawn once for all tests: a picture takes a while."""
    return RESULTS[name]()._repr_html_()


PICTURED = {name for name in RESULTS if name not in ("untouched", "passed", "paper", "error")}


@pytest.mark.parametrize("name", RESULTS)
def test_a_card_is_sound_html_with_hint_and_solution(name):
    page, result = Page(card(name)), RESULTS[name]()
    tried = name != "untouched"
    folds = ["Hint", *["A second hint"] * bool(result.task.second_hint), *["Solution"] * tried]
    assert page.tags.count("details") == len(folds)
    assert [text for text in page.text if text in ("Hint", "A second hint", "Solution")] == folds
    assert (result.task.source in "".join(page.text)) == tried
    assert not {"script", "style", "link", "iframe"} & set(page.tags) and " open" not in card(name)
    assert ("img" in page.tags) == (name in PICTURED)
    for picture in re.findall(r'src="data:image/png;base64,([^"]+)"', card(name)):
        assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert "src=" not in re.sub(r'src="data:image/png;base64,[^"]+"', "", card(name))


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_the_same_on_every_run(name):
    first, second = RESULTS[name](), RESULTS[name]()
    assert repr(first) == repr(second)
    if name in ("wrong", "mask", "a head") or name not in PICTURED:
        assert first._repr_html_() == card(name) == first._repr_html_()
    assert not re.search(r"0x[0-9a-f]{6}", repr(first))


@pytest.mark.parametrize("name", RESULTS)
def test_the_plain_text_says_what_the_card_says(name):
    result = RESULTS[name]()
    text, page = repr(result), " ".join(Page(card(name)).text)
    squeezed = "".join(page.split())
    for line in [result.verdict, *result.lines]:
        assert line in text.replace("\n    ", "\n")
        assert "".join(re.sub(r"`|(?<!\w)\*(\w[\w ]*)\*", r"\1", line).split()) in squeezed


def second_hinted(solution):
    fields = {"cases": lambda: [tuple(seeded(n, (n,))) for n in range(1, 6)], "parts": {"twice": ("i",)}}
    return exercise(stars=1, minutes=3, hint="What is x + x?", second_hint="A sum of <two>.", **fields)(solution)


def test_the_second_hint_lies_within_the_first_and_the_solution_waits_for_a_try():
    @second_hinted
    def double(x):
        """x (N,) → 2 x"""
        return x * 2

    def untouched(x): ...

    inner = "<details><summary>A second hint</summary>"
    for answer, tried in (untouched, False), (lambda x: x, True), (lambda x: x + x, True):
        result = double(answer)
        page, text = result._repr_html_(), repr(result)
        (hint,) = re.findall(r"<details><summary>Hint</summary>(.*)</details></div></details>", page)
        assert hint.index("What is x + x?") < hint.index(inner) < hint.index("A sum of &lt;two&gt;.")
        assert ("return x * 2" in page) == tried == ("print(checks.double.source)" in text)
        assert ("The solution is there after a try." in page) != tried
        assert ("The solution is there after a try." in text) != tried
        assert "Hint: print(checks.double.hint)   Second hint: print(checks.double.second_hint)" in text


def test_the_colours_of_a_card_read_on_white_and_on_black():
    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    def contrast(one, other):
        dark, light = sorted([luminance(one), luminance(other)])
        return (light + 0.05) / (dark + 0.05)

    for name in "untouched", "passed", "wrong":
        styles = Page(card(name)).styles
        pill = next(style for style in styles if "border-radius:12px" in style)
        ground, ink = (re.search(rf"(?:^|;){part}:(#\w{{6}})", pill)[1] for part in ("background-color", "color"))
        assert contrast(ground, ink) >= 4.5
        assert contrast(ground, "#ffffff") >= 3 and contrast(ground, "#111111") >= 3
        others = [style for style in styles if style is not pill]
        assert all(re.findall(r"(?:^|;)color:([^;]+)", style) in ([], ["inherit"]) for style in others)


def test_maps_that_are_compared_have_one_colour_scale():
    figure = RESULTS["scores"]().picture()
    yours, target = (ax.images[0] for ax in figure.axes)
    assert yours.get_clim() == target.get_clim() and yours.get_array().max() > 1.9 * target.get_array().max()


def test_a_weight_on_a_hidden_key_is_drawn_and_the_target_is_hatched():
    allowed = checks.masked_attention.cases()[0][-1].numpy()
    yours, target = (ax.images[0].get_array() for ax in checks.masked_attention(without_mask).picture().axes)
    assert not np.ma.getmaskarray(yours).any() and np.isfinite(yours).all()
    assert (np.isfinite(np.ma.filled(target, np.nan)) == allowed).all()


def test_what_a_learner_writes_cannot_become_html():
    def merge_heads(x):
        raise ValueError("<script>alert('hello')</script> & <b>bold</b>")

    def named(x, num_heads, more):
        return x

    named.__name__ = "<img src=x>"
    cards = [
        merged(merge_heads)._repr_html_(),
        checks.split_heads(named)._repr_html_(),
        checks.where_it_looks("<i>it</i>", pretrained.recorded())._repr_html_(),
        checks.split_heads("<script>")._repr_html_(),
    ]
    for card in cards:
        assert not {"script", "b", "i", "img"} & set(Page(re.sub(r"<b>\w+</b>", "", card)).tags)
    assert "&lt;script&gt;" in cards[0]


def test_the_card_shows_the_solution_that_is_tested_and_its_difficulty():
    def double(x):
        """x (N,) → 2 x"""
        return x * 2

    task = exercise(
        stars=2,
        minutes=7,
        hint="Add it to *itself*.",
        cases=lambda: [tuple(seeded(n, (n,))) for n in range(1, 6)],
        parts={"twice": ("i",)},
    )
    doubled = task(double)
    assert doubled.source == 'def double(x):\n    """x (N,) → 2 x"""\n    return x * 2'
    assert doubled.__doc__ == "x (N,) → 2 x"
    card = doubled(lambda x: x + x)._repr_html_()
    assert "★★☆ · 7 minutes" in card and "<em>itself</em>" in card and "passes on 5 shapes" in card
    assert not doubled(lambda x: x + 1).passed


@pytest.mark.parametrize("name", checks.__all__)
def test_every_exercise_carries_task_hint_difficulty_and_time(name):
    task = getattr(checks, name)
    assert task.__name__ == name and len(task.__doc__) > 40
    assert 1 <= task.stars <= 3 and 3 <= task.minutes <= 20
    assert task.hint.endswith((".", "?")) and task.then.endswith(".")
    assert f'"""{task.__doc__}' in task.source and task.source.startswith(f"def {name}(")
    assert max(map(len, task.source.splitlines())) <= 100  # what a card shows without breaking a line
    assert " at 0x" not in repr(task)


def expressions(source):
    """What stands in the lines of a function: the line itself, and what is given a name or returned in it."""
    (function,) = ast.parse(source).body
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and node is not function and node is not function.body[0]:
            yield ast.unparse(node)
            if getattr(node, "value", None) is not None:
                yield ast.unparse(node.value)


def squeezed(text):
    return re.sub(r"[\s`]", "", text)


@pytest.mark.parametrize("name", checks.__all__)
def test_a_first_hint_is_a_question_and_no_hint_holds_a_line_of_the_solution(name):
    task = getattr(checks, name)
    assert task.hint.endswith("?") and task.second_hint.endswith((".", "?"))
    lines = [line for line in map(squeezed, expressions(task.source)) if len(line) > 12]
    for hint in task.hint, task.second_hint:
        assert [line for line in lines if line in squeezed(hint)] == []


@pytest.mark.parametrize("name", [name for name in checks.__all__ if hasattr(getattr(checks, name), "cases")])
def test_the_sizes_of_a_check_cannot_hide_a_bug(name):
    cases = getattr(checks, name).cases()
    assert len(cases) >= 5
    again = getattr(checks, name).cases()
    for case, same in zip(cases, again):
        for one, other in zip(case, same):
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    shapes = [tuple(x.shape) for case in cases for x in case if isinstance(x, torch.Tensor)]
    if name in ("split_heads", "multi_head_scores", "mended_pseudo_code"):
        assert any(shape[0] > 1 for shape in shapes)  # a batch
        split = [(case[0].shape[-2], case[-1]) for case in cases]
        assert any(N != H > 1 for N, H in split) and any(N == H > 1 for N, H in split)


def test_checking_needs_no_matplotlib_and_showing_leaves_no_figure_behind():
    code = (
        "import sys, torch; from mha_lab import checks\n"
        "assert checks.causal_mask(lambda n: torch.ones(n, n).tril() > 0)\n"
        "assert not checks.causal_mask(lambda n: torch.ones(n, n) > 0)\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    before = plt.get_fignums()
    checks.causal_mask(lambda n: torch.ones(n, n) > 0)._repr_html_()
    assert plt.get_fignums() == before


def test_things_are_named_without_addresses():
    assert a_thing(object()) == "an object" and a_thing({}) == "a dict" and a_thing(None) == "None"
    assert a_thing((1, 2.5)) == "the tuple (1, 2.5)" and a_thing([1] * 9) == "a list of 9"


@pytest.mark.parametrize("name, many", [("cost_on_paper", 5), ("with_a_pencil", 4), ("state_or_cache", 4)])
def test_a_number_that_no_float_can_hold_is_an_answer_like_any_other(name, many):
    result = getattr(checks, name)((10**400,) * many)
    assert result.state == "wrong" and "numbers were asked for" in result.lines[0]
