"""Tasks that are nothing but looking up: which token is the right one is known exactly."""

import torch

from mha_lab import _door
from mha_lab.tasks._base import MAP, Batch, Task, draws, permutations, read


def lookup(num_tokens: int = 8, num_values: int = 16, num_pointers: int = 4) -> Task:
    """Every token carries a key of its own, a value, and pointers to several keys: which values do they point at?

    Features: key, value, pointers. One question for each pointer, asked at every token. The pointers of a token are
    all different, so that one look cannot answer two questions."""
    num_tokens, num_values = _door.whole("num_tokens", num_tokens), _door.whole("num_values", num_values)
    if not 1 <= _door.whole("num_pointers", num_pointers, at_least=None) <= num_tokens:
        raise ValueError(
            f"{num_pointers} different pointers into {num_tokens} tokens: there must be 1 to {num_tokens}."
        )

    @draws(num_tokens**2 * (12 + num_pointers * MAP))
    def draw(B, generator=None):
        key = permutations(B, num_tokens, generator=generator)  # (B, N)
        value = torch.randint(num_values, (B, num_tokens), generator=generator)
        pointers = permutations(B, num_tokens, num_tokens, generator=generator)[..., :num_pointers]  # (B, N, R)
        return looked_up(torch.cat([key[..., None], value[..., None], pointers], dim=-1))

    vocabularies = num_tokens, num_values, *[num_tokens] * num_pointers
    return Task("lookup", num_tokens, vocabularies, (num_values,) * num_pointers, False, draw)


def looked_up(inputs):
    """The batch with these features, key, value and pointers (B, N, 2 + R): the pointers say what is right."""
    key, value, pointers = inputs[..., 0], inputs[..., 1], inputs[..., 2:]
    right = (pointers.mT[..., None] == key[:, None, None]).contiguous()  # (B, R, N, N)
    return Batch(inputs, read(right, value), right)


def previous_and_match(num_tokens: int = 16, num_letters: int = 8, num_digits: int = 10) -> Task:
    """Every token is a letter with a digit. Which digit stood one place before? Which stood with this letter last?

    Features: letter, digit. Two questions at each token; one that has no answer (the first token, a letter's first
    time) is not asked."""
    sizes = {"num_tokens": num_tokens, "num_letters": num_letters, "num_digits": num_digits}
    num_tokens, num_letters, num_digits = (_door.whole(name, size) for name, size in sizes.items())

    @draws(num_tokens**2 * (8 + 2 * MAP))
    def draw(B, generator=None):
        letter = torch.randint(num_letters, (B, num_tokens), generator=generator)
        digit = torch.randint(num_digits, (B, num_tokens), generator=generator)
        before = torch.ones(num_tokens, num_tokens, dtype=torch.bool).tril(-1)
        previous = before & ~before.tril(-2)
        earlier = (letter[:, :, None] == letter[:, None, :]) & before
        last = earlier & (earlier.flip(-1).cumsum(dim=-1).flip(-1) == 1)  # the only one left from here on
        right = torch.stack([previous.expand_as(last), last], dim=1)
        return Batch(torch.stack([letter, digit], dim=-1), read(right, digit), right)

    return Task("previous and match", num_tokens, (num_letters, num_digits), (num_digits,) * 2, True, draw)


def induction(num_tokens: int = 32, num_letters: int = 64) -> Task:
    """Different letters in random order, repeated to the end: in the repetitions, which letter comes next?

    Feature: the letter. The text's length differs from example to example (a quarter to a half of the tokens), so that
    no distance can be learned by heart: the place to look is the token after this letter's last occurrence, and to find
    it somebody must have noted at every token which letter stood before it (Olsson 2022, arXiv:2209.11895)."""
    num_tokens, num_letters = _door.whole("num_tokens", num_tokens), _door.whole("num_letters", num_letters)
    shortest, longest = num_tokens // 4, num_tokens // 2
    if not 2 <= shortest <= longest <= num_letters:
        raise ValueError(f"a text of {shortest} to {longest} different letters cannot be made of {num_letters}.")

    @draws(num_tokens**2 * MAP + num_letters * 12)
    def draw(B, generator=None):
        period = torch.randint(shortest, longest + 1, (B, 1), generator=generator)
        position = torch.arange(num_tokens)
        letter = permutations(B, num_letters, generator=generator).gather(1, position % period)
        right = (position == position[:, None] + 1 - period[:, None]) & (position[:, None] >= period[:, None])
        right[:, -1] = False  # what would come next lies beyond the end
        return Batch(letter[..., None], read(right[:, None], letter), right[:, None])

    return Task("induction", num_tokens, (num_letters,), (num_letters,), True, draw)
