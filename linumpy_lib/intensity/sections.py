"""Where the serial sections of a stacked volume begin and end along z."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from linumpy_lib.errors import InputError, ParameterError


def section_bounds(
    planes: int, n_serial_slices: int = 1, boundaries: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """Return the first plane and the plane after the last of each section.

    Parameters
    ----------
    planes : int
        Planes of the volume.
    n_serial_slices : int
        Number of equally thick sections, used when no boundaries are known.
    boundaries : sequence of int, optional
        First plane of each section in ascending order, from 0; the number of planes may close the list.

    Returns
    -------
    list of (int, int)
        Half-open ranges that cover all planes.

    Raises
    ------
    ParameterError
        `n_serial_slices` is below 1 or above the number of planes.
    InputError
        The boundaries do not ascend from 0 within the volume.
    """
    if boundaries is None:
        if not 1 <= n_serial_slices <= planes:
            raise ParameterError(
                f"parameter 'n_serial_slices': {n_serial_slices} is not allowed: the volume has {planes} planes, "
                f"give 1 to {planes}"
            )
        cuts = [round(i * planes / n_serial_slices) for i in range(n_serial_slices + 1)]
    else:
        cuts = [int(z) for z in boundaries]
        if cuts and cuts[-1] < planes:
            cuts.append(planes)
        if len(cuts) < 2 or cuts[0] != 0 or cuts[-1] != planes or any(a >= b for a, b in pairwise(cuts)):
            raise InputError(
                f"section boundaries {list(boundaries)}: they must ascend from 0 and stay within the volume's {planes} "
                "planes; mend them in the volume's provenance or give the number of sections instead"
            )
    return list(pairwise(cuts))
