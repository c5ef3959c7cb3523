"""Sharpening of a log-intensity histogram: the deconvolution at the heart of N3 and N4.

A bias field blurs the histogram of the log intensities with a kernel that is taken as Gaussian. Undoing that blur
gives, for each observed log intensity, the expected true one (Sled, Zijdenbos &
Evans 1998, eq. 11-12; Tustison et al. 2010).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BINS = 200
FWHM = 0.15
WIENER_NOISE = 0.01


def expected_log_intensity(
    histogram: npt.ArrayLike, lowest: float, width: float, fwhm: float = FWHM, noise: float = WIENER_NOISE
) -> npt.NDArray[np.float64]:
    """Return the expected true log intensity at the position of each histogram bin.

    Parameters
    ----------
    histogram : array_like, shape (bins,)
        Histogram of log intensities, each voxel shared between its two nearest bins.
    lowest : float
        Log intensity at the first bin.
    width : float
        Distance between bins, positive.
    fwhm : float
        Full width at half maximum of the Gaussian blur, in log intensity.
    noise : float
        Noise term of the Wiener filter.

    Returns
    -------
    ndarray of float64, shape (bins,)
        Expected true log intensity; 0 where nothing was observed.
    """
    counts = np.asarray(histogram, np.float64)
    padded = 2 ** (math.ceil(math.log2(counts.size)) + 1)
    offset = (padded - counts.size) // 2
    observed = np.zeros(padded)
    observed[offset : offset + counts.size] = counts

    blur_width = fwhm / width
    steps = np.arange(padded)
    steps = np.minimum(steps, padded - steps).astype(np.float64)
    blur = 2 * math.sqrt(math.log(2) / math.pi) / blur_width * np.exp(-4 * math.log(2) * (steps / blur_width) ** 2)
    blur_ft = np.fft.rfft(blur)
    wiener = (np.conj(blur_ft) / (np.conj(blur_ft) * blur_ft + noise)).real

    true = np.maximum(np.fft.irfft(np.fft.rfft(observed) * wiener, padded), 0)
    positions = lowest + (np.arange(padded) - offset) * width
    weighted = np.fft.irfft(np.fft.rfft(positions * true) * blur_ft, padded)
    total = np.fft.irfft(np.fft.rfft(true) * blur_ft, padded)
    expected = np.divide(weighted, total, out=np.zeros(padded), where=total != 0)
    return expected[offset : offset + counts.size]
