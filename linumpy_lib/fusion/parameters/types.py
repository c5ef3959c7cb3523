"""Kinds of values that parameters of the fusion workflow hold, and how they are typed on a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_PAIR = r"\d+[:-]\d+"


def _words(value: object) -> list[str]:
    """Split text at commas and blanks; a list or tuple is taken element by element, None is empty."""
    if value is None:
        return []
    if isinstance(value, str):
        return [word for word in re.split(r"[\s,;]+", value.strip().strip("[]()")) if word]
    if isinstance(value, list | tuple | range | set | frozenset):
        return [str(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [str(value)]
    raise ValueError("must be numbers separated by commas")


def _whole(word: str) -> int:
    number = float(word)
    if not number.is_integer():
        raise ValueError(word)
    return int(number)


def whole_numbers(value: object) -> tuple[int, ...]:
    """Read whole numbers that may be negative: ``"1,2"``, ``[1, 2]``, ``1`` or nothing."""
    try:
        return tuple(_whole(word) for word in _words(value))
    except ValueError:
        raise ValueError("must be whole numbers separated by commas") from None


def _number_of_choice(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*-?\d+\s*", value) else value


NumberOfChoice = BeforeValidator(_number_of_choice)
"""Lets a choice among whole numbers be typed as text."""


def index_list(value: object) -> tuple[int, ...]:
    """Read indices with ranges: ``"0-4,7"`` is 0, 1, 2, 3, 4, 7; sorted, each once, none is negative."""
    found: set[int] = set()
    for word in _words(value):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", word.removesuffix(".0"))
        if match is None:
            raise ValueError("must be indices separated by commas, with ranges: 0-4,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > 10_000_000:
            raise ValueError(f"the range {word} runs backwards or is too long")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def index_pairs(value: object) -> tuple[tuple[int, int], ...]:
    """Read pairs of indices: ``"0-1,2-3"``, ``[(0, 1), (2, 3)]`` or a mapping ``{0: 1}``."""
    entries: list[Any]
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list | tuple) and all(isinstance(item, list | tuple) for item in value):
        entries = list(value)
    else:
        entries = [re.split(r"[:-]", word) for word in _words(value)]
    pairs = []
    for entry in entries:
        try:
            first, second = (_whole(str(part)) for part in entry)
        except (ValueError, TypeError):
            raise ValueError("must be pairs separated by commas: 0-1,2-3") from None
        if min(first, second) < 0:
            raise ValueError("must be pairs of numbers that are not negative")
        pairs.append((first, second))
    return tuple(pairs)


def index_groups(value: object) -> tuple[tuple[int, ...], ...]:
    """Read groups of indices: ``"0-1,2"`` is (0, 1) and (2,); ``[[0, 1], [2]]`` means the same."""
    if isinstance(value, list | tuple):
        words = ["-".join(str(k) for k in item) if isinstance(item, list | tuple) else str(item) for item in value]
    else:
        words = _words(value)
    groups = []
    for word in words:
        if not re.fullmatch(r"\d+(-\d+)*", word):
            raise ValueError("must be groups separated by commas, the members joined by '-': 0-1,2")
        groups.append(tuple(int(part) for part in word.split("-")))
    return tuple(groups)


def _of_length(count: int, smallest: int | None, form: str) -> BeforeValidator:
    def check(value: object) -> tuple[int, ...]:
        numbers = whole_numbers(value)
        if len(numbers) == 1 and count == 2:
            numbers *= 2
        if len(numbers) != count or (smallest is not None and min(numbers) < smallest):
            limit = "" if smallest is None else f", {smallest} or more"
            raise ValueError(f"must be {count} whole numbers ({form}){limit}")
        return numbers

    return BeforeValidator(check)


def _search(value: object) -> tuple[int, int, int]:
    numbers = whole_numbers(value)
    if len(numbers) != 3 or numbers[1] < numbers[0] or numbers[2] < 1:
        raise ValueError("must be lowest,highest,step in whole pixels, the step 1 or more")
    return numbers[0], numbers[1], numbers[2]


def _flags(value: object) -> tuple[int, ...]:
    numbers = whole_numbers(value)
    if len(numbers) != 2 or not set(numbers) <= {1, 2}:
        raise ValueError("must be two flags, each 1 or 2: 2,1")
    return numbers


def _kernel(value: object) -> tuple[int, ...]:
    numbers = whole_numbers(value)
    numbers *= 2 if len(numbers) == 1 else 1
    if numbers in ((), (0, 0)):
        return ()
    if len(numbers) != 2 or min(numbers) < 1 or any(n % 2 == 0 for n in numbers) or max(numbers) > 99:
        raise ValueError("must be two odd sizes y,x below 100, or 0 to switch the correction off")
    return numbers


def _text(pattern: str, form: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "form": form})


WholeNumbers = Annotated[
    tuple[int, ...],
    BeforeValidator(whole_numbers),
    _text(r"^\s*(-?\d+(\s*,\s*-?\d+)*)?\s*$", "whole numbers separated by commas"),
]
"""Any number of whole numbers."""

Indices = Annotated[
    tuple[int, ...],
    BeforeValidator(index_list),
    _text(r"^\s*(\d+(-\d+)?(\s*,\s*\d+(-\d+)?)*)?\s*$", "indices and ranges: 0-4,7"),
]
"""Indices, written with ranges; empty means all."""

IndexPairs = Annotated[
    tuple[tuple[int, int], ...],
    BeforeValidator(index_pairs),
    _text(rf"^\s*({_PAIR}(\s*,\s*{_PAIR})*)?\s*$", "pairs: 0-1,2-3"),
]
"""Pairs of indices."""

IndexGroups = Annotated[
    tuple[tuple[int, ...], ...],
    BeforeValidator(index_groups),
    _text(r"^\s*(\d+(-\d+)*(\s*,\s*\d+(-\d+)*)*)?\s*$", "groups: 0-1,2"),
]
"""Groups of indices."""

ChannelAndCamera = Annotated[
    tuple[int, ...],
    _of_length(2, 0, "channels,cameras"),
    _text(r"^\s*\d+(\s*,\s*\d+)?\s*$", "channels,cameras"),
]
"""A size for channel pairs and one for camera pairs; a single number is both."""

PairOfFlags = Annotated[tuple[int, ...], BeforeValidator(_flags), _text(r"^\s*[12]\s*,\s*[12]\s*$", "1 or 2,1 or 2")]
"""A flag for each camera of a pair."""

SearchRange = Annotated[
    tuple[int, int, int],
    BeforeValidator(_search),
    _text(r"^\s*-?\d+\s*,\s*-?\d+\s*,\s*\d+\s*$", "lowest,highest,step"),
]
"""Lowest, highest and step of a search."""

MedianKernel = Annotated[tuple[int, ...], BeforeValidator(_kernel), _text(r"^\s*(\d+(\s*,\s*\d+)?)?\s*$", "y,x or 0")]
"""Size (y, x) of a median window; empty is off."""
