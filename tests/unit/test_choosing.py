"""What to choose: each number of the page comes from the register, a record or arithmetic, and a brief says by how much
a choice misses it."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from mha_lab import choosing, cost, published, tasks
from mha_lab.choosing import decisions, register
from mha_lab.choosing.questions import in_turn

ROOT = Path(__file__).parents[2]
ASKED_FOR = "heads, H", "d_head", "K/V heads, G", "fusion of heads", "output gate", "QK-norm", "positions", "windows"
ASKED_FOR += "sinks", "selected keys", "linear layers", "cache", "kernel", "parallelism"


@pytest.fixture(scope="module")
def sheet():
    return choosing.page()


# the register --------------------------------------------------------------------------------------------------------


def test_a_row_of_the_register_is_what_the_page_of_claims_says():
    row = register.claim("11.small-numbers")
    found = json.loads((ROOT / "claims/results/11.json").read_text(encoding="utf-8"))[row.name]["found"]
    assert row.found == found and row.cell == "058" and row.lesson == "11"
    assert row.says.startswith("with 8 bits a number in place of 32") and "4 bits" in row.out
    assert str(row.place) == "lesson 11, section 7"
    assert row.place.link == "11_a_real_model.ipynb#7.-A-smaller-cache-for-a-model-that-is-trained"


def test_every_row_of_the_register_is_read():
    rows = re.findall(r"^\| `([\w.-]+)` cell", (ROOT / "docs/CLAIMS.md").read_text(encoding="utf-8"), re.M)
    tried = {name for path in (ROOT / "claims/results").glob("*.json") for name in json.loads(path.read_text("utf-8"))}
    assert [name for name in rows if name in tried and not register.is_registered(name)] == []


def test_what_the_register_does_not_have_is_told():
    with pytest.raises(KeyError, match="the register has no claim '99.nothing'"):
        register.claim("99.nothing")
    with pytest.raises(ValueError, match="lesson 05 has no cell 'nowhere'"):
        register.place("05", "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no lesson '77'"):
        register.place("77", "card")


def test_without_the_folder_of_the_project_the_page_says_where_the_register_is(monkeypatch, tmp_path):
    monkeypatch.setattr(register, "ROOT", tmp_path)
    register._rows.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match="the register belongs to the folder of this project"):
            choosing.page()
    finally:
        register._rows.cache_clear()


# the page ------------------------------------------------------------------------------------------------------------


def test_every_decision_has_a_default_a_reason_a_cost_and_an_exception(sheet):
    assert {row.name for row in sheet.rows} >= set(ASKED_FOR)
    for row in sheet.rows:
        assert row.default and row.cost and row.when_not and row.evidence, row.name


def test_each_reason_is_a_claim_of_the_register_or_a_cell_and_leads_to_its_section(sheet):
    for each in (each for row in sheet.rows for each in row.evidence):
        file, _, section = each.place.link.partition("#")
        lesson = nbformat.read(ROOT / "notebooks" / file, as_version=4)
        assert section and each.place.lesson == file.split("_")[0]
        assert not each.claim or register.claim(each.claim).place == each.place
        markdown = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
        headings = re.findall(r"^## +(.+?)[ #]*$", markdown, re.M)
        assert section in [register._plain(heading).replace(" ", "-") for heading in headings]


def test_the_page_changes_with_the_register(sheet, monkeypatch):
    told = [each.text for each in sheet["cache"].evidence if each.claim == "11.small-numbers"]
    assert told == ["8 bits a number: perplexity +0.4%; 4 bits: +44%"]
    row = register.claim("11.small-numbers")
    rows = register._rows() | {row.name: replace(row, found={"eight": 0.5, "four": 0.75})}
    monkeypatch.setattr(register, "_rows", lambda: rows)
    again = [each.text for each in choosing.page()["cache"].evidence if each.claim == row.name]
    assert again == ["8 bits a number: perplexity +50.0%; 4 bits: +75%"]


def test_a_claim_that_is_not_there_is_named_and_not_told(monkeypatch):
    rows = {name: row for name, row in register._rows().items() if name != "10.relay"}
    monkeypatch.setattr(register, "_rows", lambda: rows)
    found = choosing.page()
    assert "10.relay" in found["windows"].missing and "10.relay" in found.missing
    assert "windows alone" not in "".join(each.text for each in found["windows"].evidence)


def test_no_claim_is_missing_from_the_register_as_it_is(sheet):
    assert sheet.missing == ()


def test_costs_are_those_of_the_example(sheet):
    own = cost.kv_cache_bytes(1, decisions.TOKENS, 32, 128, layers=32)
    assert decisions.cache_bytes(num_kv_heads=32) == own == 4 * 2**30
    assert "4.0 GiB → 1.0 GiB" in sheet["K/V heads"].cost
    windows = decisions.cache_bytes(pattern="LLLG", window=1024)
    assert windows == (8 * 8192 + 24 * 1024) * 2 * 8 * 128 * 2 and "352 MiB" in sheet["windows"].cost


def test_a_state_is_counted_in_32_bits_whatever_the_cache_is_rounded_to(sheet):
    linear, state = {"pattern": "SSSG", "state": 32 * 128**2}, 24 * 32 * 128**2 * 4
    assert decisions.cache_bytes(**linear) == 2**28 + state == 304 * 2**20
    assert decisions.cache_bytes(**linear, bytes_per_number=1) == 2**27 + state
    assert (
        "2.0 MiB a layer (32 bits)" in sheet["linear layers"].cost
        and "beyond 512 tokens" in sheet["linear layers"].cost
    )


@pytest.mark.parametrize(
    "given, error, words",
    [
        ({"pattern": "SSSG"}, ValueError, "linear layers (S): `state` says how many numbers each keeps"),
        ({"bytes_per_number": -1}, ValueError, "bytes_per_number=-1: it must be more than 0"),
        ({"bytes_per_number": float("nan")}, ValueError, "bytes_per_number=nan is not a finite number"),
        ({"tokens": -1}, ValueError, "tokens=-1: it must be at least 0"),
        ({"kv_heads": 8}, TypeError, "a model has no 'kv_heads'; it has: name, layers"),
        ({"pattern": None}, ValueError, "its source leaves open how much its layers keep"),
    ],
)
def test_bytes_of_what_is_no_cache_are_refused_in_one_sentence(given, error, words):
    with pytest.raises(error, match=re.escape(words)):
        decisions.cache_bytes(**given)


def test_a_model_whose_source_leaves_something_open_has_it_not():
    known = replace(published.MODELS[0], qk_norm=True)
    models = [known, replace(known, qk_norm=None), replace(known, qk_norm=False)]
    assert decisions.share_of(models, decisions.special("qk_norm")) == "1 of 3"


def test_released_models_are_counted_as_in_lesson_12(sheet):
    lesson = nbformat.read(ROOT / "notebooks/12_attention_today.ipynb", as_version=4)
    (printed,) = (cell.outputs[0].text for cell in lesson.cells if cell.id == "which-count")
    counts = dict(re.findall(r"(\S.*\S) +(\d+ of \d+)(?: \(not said of \d+\))?\n", printed))
    rows = {"QK-norm": "QK-norm", "an output gate": "output gate", "sinks": "sinks", "windows": "windows"}
    for words, name in rows.items():
        assert any(each.text.startswith(f"{counts[words]} new models") for each in sheet[name].evidence), name


def test_the_table_shows_every_row_with_links_to_the_lessons_beside_it(sheet):
    html = sheet._repr_html_()
    assert html.count("<tr") == len(sheet.rows) + 1
    assert 'href="05_mqa_and_gqa.ipynb#' in html and "W<sup>O</sup>" in html
    assert "output gate: " in repr(sheet) and repr(sheet["windows"]).startswith("windows: ")
    with pytest.raises(KeyError, match="there is no decision 'colour'"):
        sheet["colour"]


def test_the_sheet_is_one_page_of_its_own_without_a_network(sheet, tmp_path):
    path = sheet.save_html(tmp_path / "sheet.html")
    text = path.read_text(encoding="utf-8")
    assert "size: A4 landscape" in text and ".ipynb" not in text and "<script" not in text
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []
    with pytest.raises(ValueError, match="must end in .html"):
        sheet.save_html(tmp_path / "sheet.pdf")


# the briefs ----------------------------------------------------------------------------------------------------------

CHAT = {"kv_heads": 8, "pattern": "LLLG", "window": 1024, "bits": 16, "split": "heads"}
PHONE = {"kv_heads": 4, "pattern": "LLLLLG", "window": 1024, "bits": 8, "kernel": "fused"}
LAPTOP = {"model": "relative", "d_model": 64, "steps": 2000, "ordinals": "rule"}


@pytest.mark.parametrize(
    "brief, right, others",
    [
        (choosing.laptop, LAPTOP, [{"model": "BiLSTM"}]),
        (choosing.chat, CHAT, [{"bits": 8}, {"split": "texts"}, {"pattern": "LG", "bits": 8}]),
        (choosing.phone, PHONE, [{"bits": 16}, {"kv_heads": 8}, {"pattern": "LLLG"}]),
    ],
)
def test_more_than_one_choice_is_right(brief, right, others):
    for changed in [{}, *others]:
        assert brief(**right | changed), changed


def test_the_chat_needs_what_arithmetic_says():
    found = choosing.chat(kv_heads=32, pattern="G", window=0, bits=16, split="heads")
    text = cost.kv_cache_bytes(1, 8192, 32, 128, layers=32)
    memory = found["memory of each GPU"]
    assert memory.value == pytest.approx((16e9 + 500 * text) / 4 / 1e9)
    assert memory.by == f"{memory.value / 72:.2f} times too much" and not found
    assert found["nats a character, sharing"].value == found["nats a token, rounding"].value == 0
    copies = choosing.chat(kv_heads=1, pattern="G", window=0, bits=16, split="heads")
    assert copies["memory of each GPU"].value == pytest.approx((4e9 + 500 * text / 32) / 1e9)


def test_a_quality_is_taken_from_its_record():
    shared = tasks.recorded_head_counts()
    gap = float((shared.shared[8, 2, 8] - shared.characters[shared.heads.index(8)][:2]).mean())
    rounding = math.log1p(register.claim("11.small-numbers").found["eight"])
    found = choosing.chat(**CHAT | {"bits": 8})
    assert found["nats a character, sharing"].value == pytest.approx(gap)
    assert found["nats a token, rounding"].value == pytest.approx(rounding)
    intents = tasks.recorded_intents()
    laptop = choosing.laptop(**LAPTOP)
    assert laptop["main sentences"].value == pytest.approx(float(intents.accuracy("relative").mean()))
    assert laptop["the worst kind"].value == min(
        float(intents.accuracy("relative", kind).mean()) for kind in intents.kinds
    )


def test_windows_alone_lose_what_is_far_and_one_global_layer_finds_it():
    alone = choosing.chat(**CHAT | {"pattern": "L"})
    assert alone["answers about far places"].value < 0.5 and alone.missed == (alone["answers about far places"],)
    assert alone["answers about far places"].by.startswith("missed by 0.8")
    wide = choosing.chat(**CHAT | {"pattern": "L", "window": 8192})
    assert wide["answers about far places"].holds, "a window as long as the text is none"


def test_what_nobody_measured_is_no_evidence():
    found = choosing.laptop(**LAPTOP | {"d_model": 512})
    assert found["main sentences"].by == "nobody measured this" and not found
    assert choosing.chat(**CHAT | {"kv_heads": 2})["nats a character, sharing"].by == "nobody measured this"


@pytest.mark.parametrize("model", ["8 heads", "GLU", "RMSNorm", "learned", "1 head, back then ahead"])
def test_a_model_that_was_not_timed_has_no_time(model):
    found = choosing.laptop(**LAPTOP | {"model": model})["one answer"]
    assert found.by == "nobody measured this" and found.why == "nobody timed it" and not found.holds


@pytest.mark.parametrize("brief, right", [(choosing.chat, CHAT), (choosing.phone, PHONE)])
@pytest.mark.parametrize(
    "changed, why",
    [
        ({"window": 1}, "no released model of our table has windows of fewer than 128 tokens"),
        ({"pattern": "LLLLLG", "window": 8}, "no released model of our table has windows of fewer than 128 tokens"),
        ({"pattern": "L", "window": 127}, "no released model of our table has windows of fewer than 128 tokens"),
        ({"pattern": "LLLLLLG"}, "no record has more than 5 local layers for each global one, but those of none"),
        ({"pattern": "GLLLLLLLLLLL"}, "no record has more than 5 local layers for each global one, but those of none"),
    ],
)
def test_windows_that_no_record_has_are_no_evidence(brief, right, changed, why):
    found = brief(**right | changed)
    far = found["answers about far places"]
    assert far.why == why and far.by == "nobody measured this" and found.missed == (far,)


def test_the_recorded_window_and_five_local_layers_are_read_from_the_record():
    for pattern, laid in ("LLLLLG", "5 local : 1 global"), ("LLG", "3 local : 1 global"), ("L", "all layers local"):
        assert laid in choosing.chat(**CHAT | {"pattern": pattern, "window": 128})["answers about far places"].why


def test_the_phone_computes_half_of_the_square_where_all_is_seen():
    found = choosing.phone(kv_heads=4, pattern="G", window=0, bits=8, kernel="fused")
    looks = 24 * 4 * 100_000**2 * 2048 / 2
    assert found["seconds to read it"].value == pytest.approx((2 * 1.7e9 * 100_000 + looks) / 1e12)
    stored = choosing.phone(**PHONE | {"kernel": "explicit"})
    assert stored["memory while reading"].value > 16 * 100_000**2 * 2 / 1e9


@pytest.mark.parametrize(
    "brief, given, words",
    [
        (choosing.chat, CHAT | {"kv_heads": 5}, "32 query heads cannot share 5"),
        (choosing.chat, CHAT | {"pattern": "LX"}, "pattern='LX': it must be made of G and L"),
        (choosing.chat, CHAT | {"pattern": "L" * 32 + "G"}, "names 33 layers; the model has 32"),
        (choosing.chat, CHAT | {"window": 0}, "a layer L needs a window"),
        (choosing.chat, CHAT | {"pattern": "G"}, "a layer L needs a window, and no other has one"),
        (choosing.chat, CHAT | {"bits": 12}, "bits=12: it must be 16, 8 or 4"),
        (choosing.chat, CHAT | {"split": "rows"}, "split='rows': it must be 'heads' or 'texts'"),
        (choosing.phone, PHONE | {"kernel": "fast"}, "kernel='fast': it must be 'fused' or 'explicit'"),
        (choosing.laptop, LAPTOP | {"model": "GPT"}, "model='GPT': it must be 'BiLSTM', "),
        (choosing.laptop, LAPTOP | {"steps": True}, "steps=True: it must be 500 or 2000"),
    ],
)
def test_what_is_no_choice_is_answered_in_one_sentence(brief, given, words):
    with pytest.raises(ValueError, match=re.escape(words)) as problem:
        brief(**given)
    assert "\n" not in str(problem.value)


def test_a_judgement_shows_itself_and_names_its_needs():
    found = choosing.chat(**CHAT)
    assert repr(found).count("✓") == 5 and "and at most 72.0 GB is wanted: holds" in repr(found)
    html = found._repr_html_()
    assert html.count("<tr") == 6 and 'href="05_mqa_and_gqa.ipynb#' in html
    with pytest.raises(KeyError, match="no need is called 'price'"):
        found["price"]


# figures -------------------------------------------------------------------------------------------------------------


def test_figures_say_in_their_titles_what_they_show():
    sizes = {"as released": 2**30, "8 bits": 2**29, "32 K/V heads": 2**32}
    ax = choosing.draw_caches(sizes, beside="as released")
    assert ax.get_title(loc="left") == "One decision changed at a time: from 512 MiB to 4.0 GiB"
    assert [word.get_text() for word in ax.get_yticklabels()] == ["8 bits", "as released", "32 K/V heads"]
    lost = {"all": 0.1, "worst": 0.3, "kind": "none"}
    ax = choosing.draw_heads({(0, 0): lost | {"worst": 0.0}, (0, 1): lost})
    assert ax.get_title(loc="left") == "Without head 0.1 alone, 30% of one kind of sentence are lost"
    assert len(ax.texts) == 2


# the questions -------------------------------------------------------------------------------------------------------


def test_twenty_questions_four_in_each_dimension_with_points_that_lead_somewhere():
    questions = choosing.QUESTIONS
    assert len({each.key for each in questions}) == len({each.asks for each in questions}) == 20
    assert all([each.dimension for each in questions].count(name) == 4 for name in choosing.DIMENSIONS)
    for point in (point for each in questions for point in each.points):
        lesson, section = re.fullmatch(r"lesson (\w+), section (\d+)", point.place).groups()
        assert point.link.startswith(f"{lesson}_") and f"#{section}.-" in point.link


def test_the_interview_card_shows_the_same_words():
    card = nbformat.read(ROOT / "notebooks/interview.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in card.cells)
    shown = re.findall(r"<summary><b>(.+?)</b></summary>\n\n(.+?)\n\n\*Shown in (.+?)\.\*\n\n</details>", text, re.S)
    assert len(shown) == len(choosing.QUESTIONS)
    for (asks, answer, places), question in zip(shown, choosing.QUESTIONS):
        assert (asks, answer) == (question.asks, " ".join(point.text for point in question.points))
        links = {
            (f"lesson {a}, section {b}", c)
            for a, b, c in re.findall(r"\[lesson (\w+), section (\d+)\]\(((?:[^()]|\([^()]*\))+)\)", places)
        }
        assert links >= {(point.place, point.link) for point in question.points}


def test_they_are_asked_in_turn_over_the_dimensions():
    asked = in_turn(choosing.QUESTIONS)
    assert sorted(each.key for each in asked) == sorted(each.key for each in choosing.QUESTIONS)
    assert tuple(each.dimension for each in asked[:5]) == choosing.DIMENSIONS
    assert len(in_turn(choosing.QUESTIONS[:3])) == 3
