"""CRC-32C of data whose parts were summed by themselves, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
"""CRC-32C, its lowest bit the highest power."""


def combined(parts: Sequence[tuple[int, int]]) -> int:
    """CRC-32C of parts one after the other.

    To append bytes multiplies a checksum by a power of x, modulo the polynomial: a linear map of its bits, put together
    from its squares, as zlib does it.

    Parameters
    ----------
    parts : sequence of (int, int)
        Checksum and number of bytes of each part.

    Examples
    --------
    >>> import google_crc32c
    >>> hex(combined([(google_crc32c.value(b"1234"), 4), (google_crc32c.value(b"56789"), 5)]))
    '0xe3069283'
    """
    total = 0
    for checksum, n_bytes in parts:
        total = _applied(_appended(n_bytes), total) ^ checksum
    return total


def _applied(columns: tuple[int, ...], bits: int) -> int:
    result = 0
    for k in range(32):
        if bits >> k & 1:
            result ^= columns[k]
    return result


@lru_cache(maxsize=64)
def _appended(n_bytes: int) -> tuple[int, ...]:
    """Return the map that appending so many zero bytes is, column by column."""
    square = (_POLYNOMIAL, *(1 << k for k in range(31)))  # one bit
    result = tuple(1 << k for k in range(32))
    n_bits = 8 * n_bytes
    while n_bits:
        if n_bits & 1:
            result = tuple(_applied(square, column) for column in result)
        square = tuple(_applied(square, column) for column in square)
        n_bits >>= 1
    return result
