"""What a rule can say of the Chinese ordinals: which wishes have a number, and at which of them the sentence points."""

import re

NAME = r"((?:第.年)?第.[件期])"  # "item 2", "instalment 3", "instalment 3 of year 2"


def numbered_wishes(sentence: str) -> dict[str, str]:
    """The wishes that have a number, by their names: {"第2件": "开发票", …}, in Chinese. Empty where there are none."""
    return dict(re.findall(NAME + "[是要]([^，。；]+)", sentence))


def pointed_at(sentence: str) -> str:
    """The wish of a Chinese ordinal that its pointer means, as a sentence of its own: what "item 2 is the most urgent"
    points at, or what is left where the other one is called off.

    Raises ValueError for a sentence without such a pointer."""
    items = numbered_wishes(sentence)
    denied = re.search(NAME + "的?不用", sentence)
    if denied and len(items) == 2 and denied[1] in items:
        return f"我要{next(wish for name, wish in items.items() if name != denied[1])}。"
    pointer = re.search("先(?:办|处理)" + NAME, sentence) or re.search(NAME + "的?最急", sentence)
    if not pointer or pointer[1] not in items:
        raise ValueError(f"nothing says which of {len(items)} numbered wishes is meant: {sentence}")
    return f"我要{items[pointer[1]]}。"
