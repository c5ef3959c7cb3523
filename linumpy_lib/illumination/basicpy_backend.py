"""The package basicpy as solver, for those who want its result; it is not among the packages installed by default."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import ParameterError
from linumpy_lib.illumination.basic import BasicFit
from linumpy_lib.illumination.cosines import cosine_basis

Float32 = npt.NDArray[np.float32]


def fit_basicpy(
    images: Float32, weights: Float32, *, smoothness: float, dark: Float32 | None, max_iterations: int
) -> BasicFit:
    """Fit a flat field with basicpy.

    Its own dark field diverges on OCT tiles, so that `dark` is subtracted beforehand.

    Parameters
    ----------
    images, weights : float32 array, shape (images, y, x)
        Pool and what is known of it.
    smoothness : float
        basicpy's `smoothness_flatfield`.
    dark : float32 array, shape (y, x), optional
        Dark field.
    max_iterations : int
        basicpy's `max_iterations`.

    Returns
    -------
    BasicFit

    Raises
    ------
    ParameterError
        If basicpy is not installed.
    """
    if importlib.util.find_spec("basicpy") is None:
        raise ParameterError(
            "parameter 'fix_illum_backend': basicpy is not installed; use linum-basic, or install the extra with "
            "its overrides: uv pip install '.[illumination]' --override conf/setup/basicpy_overrides.txt"
        )
    pool = images if dark is None else np.maximum(images - dark, 0)
    model = importlib.import_module("basicpy").BaSiC(
        get_darkfield=False,
        max_iterations=max_iterations,
        smoothness_flatfield=smoothness,
    )
    model.fit(pool, fitting_weight=None if weights.all() else weights)
    flat = np.asarray(model.flatfield, np.float64)
    grid = (images.shape[1], images.shape[2])
    along_y, along_x = (cosine_basis(n, n) for n in grid)
    field = np.zeros(grid) if dark is None else dark.astype(np.float64)
    return BasicFit(
        along_y @ (flat / flat.mean()) @ along_x.T,
        along_y @ field @ along_x.T,
        np.asarray(model.baseline, np.float64).reshape(-1),
        grid,
        max_iterations,
        True,
    )
