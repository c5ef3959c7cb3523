"""Work that does not fit into a device's memory is done in smaller pieces, and the user is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from linumpy_lib.device import Device, get_device
from linumpy_lib.errors import DeviceError

T = TypeVar("T")


def in_pieces(device: Device, length: int, work: Callable[[slice], None], what: str) -> None:
    """Do work in one piece; where the device's memory runs out, in halves of it, and halves of these.

    Parameters
    ----------
    device : Device
        Where the work is done; its `shortages` count the cuts.
    length : int
        Planes or rows, which do not depend on each other.
    work : callable
        Called with a slice of them; may be called again, with a part, for a slice that failed.
    what : str
        What is computed, for the message.

    Raises
    ------
    DeviceError
        Not even one plane fits.
    """
    waiting = [slice(0, length)]
    while waiting:
        part = waiting.pop()
        try:
            work(part)
        except device.memory_errors as error:
            if not device.is_shortage(error):
                raise
            size = part.stop - part.start
            if size < 2:
                raise DeviceError(
                    f"device: the memory of {device.description} is too small for {what}; use --device cpu, or let "
                    "fewer tasks share it"
                ) from error
            middle = part.start + size // 2
            waiting += [slice(middle, part.stop), slice(part.start, middle)]
            device.shortage()


def or_on_cpu(device: Device, work: Callable[[Device], T]) -> T:
    """Do work that cannot be cut; where the device's memory runs out, on the CPU instead."""
    try:
        return work(device)
    except device.memory_errors as error:
        if not device.is_shortage(error):
            raise
        device.shortage()
    return work(get_device("cpu"))
