"""What exercises for a pencil share: the numbers that were written down, and by how much one of them is off."""

import math


def numbers_of(answer, many: int) -> list[float] | None:
    """As many finite numbers as were asked for, or None where the answer is something else."""
    try:
        numbers = [float(number) for number in answer]
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == many and all(map(math.isfinite, numbers)) else None


def off(number: float, right: float, digits: int = 3) -> str:
    """By how much a positive number is off, in words: "1.92 times too large"."""
    size = "large" if number > right else "small"
    return f"{max(number / right, right / number):.{digits}g} times too {size}"
