"""N4 by SimpleITK on the fitting grid: the peer that our own fit is held to, and a backend for those who prefer it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import DeviceError
from linumpy_lib.intensity.bspline import Floats


def itk_log_bias(
    volume: Floats,
    mask: npt.NDArray[np.bool_],
    control_points: Sequence[int],
    iterations: Sequence[int],
    *,
    convergence: float,
    threads: int = 1,
) -> Floats:
    """Return the log bias field that SimpleITK fits to a volume.

    Parameters
    ----------
    volume : ndarray of float32, shape (z, y, x)
        Intensities.
    mask : ndarray of bool
        Voxels to fit.
    control_points : sequence of int
        Control points (z, y, x) of the first level.
    iterations : sequence of int
        Most iterations of each level.
    convergence : float
        Convergence threshold.
    threads : int
        Threads for ITK.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        Log bias at the voxels.

    Raises
    ------
    DeviceError
        SimpleITK is not installed.
    """
    try:
        import SimpleITK as sitk  # noqa: N813
    except ImportError:
        raise DeviceError("backend: 'itk' needs SimpleITK; install it (pip install SimpleITK) or use 'cpu'") from None

    # ITK's image axes run x, y, z: GetImageFromArray turns the array around, so the array itself stays (z, y, x)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume, np.float32))
    label = sitk.GetImageFromArray(mask.astype(np.uint8))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([int(n) for n in iterations])
    corrector.SetNumberOfControlPoints([int(n) for n in reversed(control_points)])
    corrector.SetConvergenceThreshold(convergence)
    corrector.SetNumberOfThreads(max(1, threads))
    corrector.Execute(image, label)
    log_bias: Floats = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)).astype(np.float32)
    return log_bias
