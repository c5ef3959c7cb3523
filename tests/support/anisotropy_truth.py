"""Volumes whose structure is known exactly, and tensors of every class."""

from __future__ import annotations

import numpy as np


def rotation(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return q * np.sign(np.diag(r))


def grid(shape: tuple[int, int, int], spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Physical positions (3, Z, Y, X) from the centre."""
    axes = [(np.arange(n) - (n - 1) / 2) * d for n, d in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def sheet(normal: np.ndarray, shape=(33, 33, 33), spacing=(1.0, 1.0, 1.0), width: float = 2.0) -> np.ndarray:
    distance = np.tensordot(normal, grid(shape, spacing), 1)
    return np.exp(-0.5 * (distance / width) ** 2)


def fibre(axis: np.ndarray, shape=(33, 33, 33), spacing=(1.0, 1.0, 1.0), width: float = 2.0) -> np.ndarray:
    r = grid(shape, spacing)
    along = np.tensordot(axis, r, 1)
    return np.exp(-0.5 * ((r**2).sum(0) - along**2) / width**2)


def blob(shape=(33, 33, 33), width: float = 2.0) -> np.ndarray:
    return np.exp(-0.5 * (grid(shape) ** 2).sum(0) / width**2)


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle between axes (sign does not matter)."""
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(sine, np.abs((a * b).sum(-1))))


def _with_eigenvalues(values, count: int, rng) -> np.ndarray:
    q = np.linalg.qr(rng.standard_normal((count, 3, 3)))[0]
    return np.einsum("nij,j,nkj->nik", q, np.asarray(values, float), q)


def tensor_classes(count: int = 4000) -> dict[str, np.ndarray]:
    """Matrices (count, 3, 3) of every class the solver has to stand."""
    rng = np.random.default_rng(7)
    g = rng.standard_normal((count, 3, 3))
    gram = g @ g.transpose(0, 2, 1)
    vectors = rng.standard_normal((count, 3))
    return {
        "random": gram,
        "sheet": _with_eigenvalues([1, 0.1, 0.1], count, rng),
        "tube": _with_eigenvalues([1, 1, 0.01], count, rng),
        "rank 1": vectors[:, :, None] * vectors[:, None, :],
        "rank 1 axis": np.tile(np.diag([0, 1.0, 0]), (count, 1, 1)),
        "rank 2": _with_eigenvalues([1, 0.3, 0], count, rng),
        "isotropic": np.tile(np.eye(3), (count, 1, 1)) * rng.random((count, 1, 1)),
        "gap 1e-8": _with_eigenvalues([1, 0.5, 0.5 - 1e-8], count, rng),
        "upper gap 1e-8": _with_eigenvalues([1, 1 - 1e-8, 0.2], count, rng),
        "tiny smallest": _with_eigenvalues([1, 0.3, 1e-7], count, rng),
        "near isotropic": _with_eigenvalues([1, 1 - 1e-6, 1 - 2e-6], count, rng),
        "equal steps": _with_eigenvalues([3, 2, 1], count, rng),
        "diagonal": np.tile(np.diag([0.2, 0.7, 0.1]), (count, 1, 1)),
        "diagonal tube": np.tile(np.diag([0.5, 0.0, 0.5]), (count, 1, 1)),
        "scale 1e-12": 1e-12 * gram,
        "scale 1e9": 1e9 * gram,
    }


def components(matrices: np.ndarray, dtype) -> np.ndarray:
    """Matrices (n, 3, 3) as components (6, n): zz, yy, xx, zy, zx, yx."""
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return np.stack([matrices[:, i, j] for i, j in pairs]).astype(dtype)


def matrices(tensor: np.ndarray) -> np.ndarray:
    """Components (6, ...) as float64 matrices (..., 3, 3)."""
    zz, yy, xx, zy, zx, yx = tensor.astype(np.float64)
    rows = [np.stack(r, -1) for r in ((zz, zy, zx), (zy, yy, yx), (zx, yx, xx))]
    return np.stack(rows, -2)


def oracle_tensor(volume: np.ndarray, sigma, rho, spacing=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Two scipy passes with mode nearest, in float64: components (6, Z, Y, X)."""
    from scipy import ndimage

    v = volume.astype(np.float64)
    order = np.eye(3, dtype=int)
    g = [ndimage.gaussian_filter(v, sigma, order=tuple(order[i]), mode="nearest") / spacing[i] for i in range(3)]
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return np.stack([ndimage.gaussian_filter(g[i] * g[j], rho, mode="nearest") for i, j in pairs])


def oracle_measures(tensor: np.ndarray) -> dict[str, np.ndarray]:
    """LAPACK in float64; lambda1 normalization."""
    values, vectors = np.linalg.eigh(matrices(tensor))
    l3, l2, l1 = (values[..., i] for i in range(3))
    mean = values.mean(-1)
    fa = np.sqrt(1.5 * ((values - mean[..., None]) ** 2).sum(-1) / (values**2).sum(-1))
    return {
        "fa": fa,
        "cl": (l1 - l2) / l1,
        "cp": (l2 - l3) / l1,
        "cs": l3 / l1,
        "cp_norm": (l1 - l2) / (l1 - l3),
        "lambda2_ratio": l2 / l3,
        "eigenvalues": np.stack([l1, l2, l3]),
        "e1": vectors[..., 2],
        "e3": vectors[..., 0],
    }
