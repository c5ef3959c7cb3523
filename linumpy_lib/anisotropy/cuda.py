"""Eigen solver and measures as one CUDA kernel.

A host compiler understands the function of one voxel as well: the tests compile it and hold it against LAPACK where
there is no GPU. The maths is that of `eigen.solve` and `measures.measures_of`; see there for the explanation.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from linumpy_lib.anisotropy.block import AnisotropyBlock
from linumpy_lib.anisotropy.plan import AnisotropyPlan
from linumpy_lib.device import Device

RESULTS = 15  # fa cl cp cs cp_norm lambda2_ratio, e1 z y x, e3 z y x, l1 l2 l3
NORMALIZATIONS = {"lambda1": 0, "trace": 1, "seed": 2}

SOLVER = r"""
#ifndef ANISOTROPY_FUNCTION
#define ANISOTROPY_FUNCTION __device__ __forceinline__
#endif

ANISOTROPY_FUNCTION float leading_sign(float z, float y, float x)
{
    const float margin = 1.00001f;  // ties go to the first axis
    float az = fabsf(z), ay = fabsf(y);
    float lead = ay > az * margin ? y : z;
    lead = fabsf(x) > fmaxf(ay, az) * margin ? x : lead;
    return lead < 0.0f ? -1.0f : 1.0f;
}

// out: fa cl cp cs cp_norm lambda2_ratio | e1 zyx | e3 zyx | l1 l2 l3; returns whether the tensor is not zero
ANISOTROPY_FUNCTION bool anisotropy_voxel(
    float zz, float yy, float xx, float zy, float zx, float yx, int normalization, float unscale, float *out)
{
    const float tiny = 1.17549435e-38f, huge = 3.40282347e38f, epsilon2 = 1.42108547e-14f, limit = 65504.0f;
    const float trace = zz + yy + xx;
    if (!(trace >= tiny && trace <= huge)) {
        for (int i = 0; i < 15; ++i) out[i] = 0.0f;
        return false;
    }
    const float scale = 1.0f / trace;
    zz *= scale; yy *= scale; xx *= scale; zy *= scale; zx *= scale; yx *= scale;

    const float q = (zz + yy + xx) * (1.0f / 3.0f);
    float a = zz - q, b = yy - q, c = xx - q;
    const float p2 = (a * a + b * b + c * c + 2.0f * (zy * zy + zx * zx + yx * yx)) * (1.0f / 6.0f);
    const float inverse_p = p2 > epsilon2 ? 1.0f / sqrtf(p2) : 0.0f;
    const float p = p2 * inverse_p;
    const float r = (a * (b * c - yx * yx) + zy * (zx * yx - zy * c) + zx * (zy * yx - b * zx))
        * inverse_p * inverse_p * inverse_p * 0.5f;
    const bool prolate = r >= 0.0f;
    const float t = fminf(fabsf(r), 1.0f);
    float cosine = @TOP@;
@HORNER@
    const float extreme = q + (prolate ? 2.0f : -2.0f) * p * cosine;

    a = zz - extreme; b = yy - extreme; c = xx - extreme;
    const float aa = b * c - yx * yx, bb = a * c - zx * zx, cc = a * b - zy * zy;
    const float ab = zx * yx - zy * c, ac = zy * yx - zx * b, bc = zy * zx - a * yx;
    const float na = aa * aa + ab * ab + ac * ac, nb = ab * ab + bb * bb + bc * bc, nc = ac * ac + bc * bc + cc * cc;
    float vz = aa, vy = ab, vx = ac, length2 = na;
    if (nb > length2) { vz = ab; vy = bb; vx = bc; length2 = nb; }
    if (nc > length2) { vz = ac; vy = bc; vx = cc; length2 = nc; }
    if (length2 > epsilon2 * epsilon2) {
        const float inverse = 1.0f / sqrtf(length2);
        vz *= inverse; vy *= inverse; vx *= inverse;
    } else {
        vz = 1.0f; vy = 0.0f; vx = 0.0f;
    }

    const float side = vx < 0.0f ? -1.0f : 1.0f;
    const float k = -1.0f / (side + vx), m = vz * vy * k;
    const float tz = 1.0f + side * vz * vz * k, ty = side * m, tx = -side * vz;
    const float uz = m, uy = side + vy * vy * k, ux = -vy;
    float jz = zz * tz + zy * ty + zx * tx, jy = zy * tz + yy * ty + yx * tx, jx = zx * tz + yx * ty + xx * tx;
    const float tt = tz * jz + ty * jy + tx * jx, tu = uz * jz + uy * jy + ux * jx;
    jz = zz * uz + zy * uy + zx * ux; jy = zy * uz + yy * uy + yx * ux; jx = zx * uz + yx * uy + xx * ux;
    const float uu = uz * jz + uy * jy + ux * jx;
    const float half = 0.5f * (tt - uu), mean = 0.5f * (tt + uu), radius = sqrtf(half * half + tu * tu);
    const float reach = fabsf(half) + radius;
    length2 = reach * reach + tu * tu;
    float co = 1.0f, si = 0.0f;
    if (length2 > 1e-36f) {
        const float inverse = 1.0f / sqrtf(length2);
        co = (half >= 0.0f ? reach : tu) * inverse;
        si = (half >= 0.0f ? tu : reach) * inverse;
    }
    const float bz = co * tz + si * uz, by = co * ty + si * uy, bx = co * tx + si * ux;
    const float sz = co * uz - si * tz, sy = co * uy - si * ty, sx = co * ux - si * tx;

    float l3 = fmaxf(prolate ? mean - radius : extreme, 0.0f);
    float l2 = fmaxf(prolate ? mean + radius : mean - radius, l3);
    float l1 = fmaxf(prolate ? extreme : mean + radius, l2);
    const float e1z = prolate ? vz : bz, e1y = prolate ? vy : by, e1x = prolate ? vx : bx;
    const float e3z = prolate ? sz : vz, e3y = prolate ? sy : vy, e3x = prolate ? sx : vx;

    const float d12 = l1 - l2, d23 = l2 - l3, d13 = l1 - l3, total = l1 + l2 + l3;
    out[0] = fminf(sqrtf((d12 * d12 + d23 * d23 + d13 * d13) / (2.0f * (l1 * l1 + l2 * l2 + l3 * l3))), 1.0f);
    out[1] = d12 / (normalization == 1 ? total : l1);
    out[2] = (normalization == 1 ? 2.0f * d23 : d23) / (normalization == 1 ? total : l1);
    out[3] = normalization == 0 ? l3 / l1 : 3.0f * l3 / total;
    out[4] = d13 > 0.0f ? fminf(d12 / d13, 1.0f) : 0.0f;
    const float floor3 = fmaxf(l3, l2 / limit);
    out[5] = floor3 > 0.0f ? fminf(l2 / floor3, limit) : 1.0f;
    float sign = leading_sign(e1z, e1y, e1x);
    out[6] = e1z * sign; out[7] = e1y * sign; out[8] = e1x * sign;
    sign = leading_sign(e3z, e3y, e3x);
    out[9] = e3z * sign; out[10] = e3y * sign; out[11] = e3x * sign;
    const float size = fminf(trace * unscale, huge);
    out[12] = l1 * size; out[13] = l2 * size; out[14] = l3 * size;
    return true;
}
"""

KERNEL = r"""
#include <cuda_fp16.h>

template <typename T> __device__ __forceinline__ T stored(float value);
template <> __device__ __forceinline__ float stored<float>(float value) { return value; }
template <> __device__ __forceinline__ __half stored<__half>(float value) { return __float2half_rn(value); }

template <typename T> __device__ __forceinline__
void put(T *to, const float *from, int channels, long long n, long long i)
{
    if (to) for (int c = 0; c < channels; ++c) to[c * n + i] = stored<T>(from[c]);
}

// one thread per voxel; tensor (6, n), every output (channels, n) or null
template <typename T> __global__ void anisotropy(
    const float *tensor, unsigned char *mask, long long n, int normalization, float unscale,
    T *measures, T *first, T *last, float *eigenvalues)
{
    const long long i = blockDim.x * (long long)blockIdx.x + threadIdx.x;
    if (i >= n) return;
    float out[15];
    const float kept = mask[i] ? 1.0f : 0.0f;
    mask[i] = anisotropy_voxel(tensor[i] * kept, tensor[n + i] * kept, tensor[2 * n + i] * kept, tensor[3 * n + i],
        tensor[4 * n + i], tensor[5 * n + i], normalization, unscale, out);
    put(measures, out, 6, n, i);
    put(first, out + 6, 3, n, i);
    put(last, out + 9, 3, n, i);
    put(eigenvalues, out + 12, 3, n, i);
}
"""


def solver_source() -> str:
    """C++ of one voxel, with the polynomial of `eigen` in float32 accuracy."""
    from linumpy_lib.anisotropy.eigen import COSINE_OF_THIRD_FLOAT32

    *lower, top = COSINE_OF_THIRD_FLOAT32
    horner = "\n".join(f"    cosine = fmaf(cosine, t, {value!r}f);" for value in reversed(lower))
    return SOLVER.replace("@TOP@", f"{top!r}f").replace("@HORNER@", horner)


@cache
def _kernel(cupy: Any, half: bool) -> Any:
    name = f"anisotropy<{'__half' if half else 'float'}>"
    module = cupy.RawModule(code=solver_source() + KERNEL, options=("--std=c++17",), name_expressions=(name,))
    return module.get_function(name)


def finish_on_cuda(device: Device, tensor: Any, keep: Any, plan: AnisotropyPlan, out: AnisotropyBlock) -> None:
    """Solve a (6, z, y, x) float32 tensor on the GPU and copy the results to `out`.

    Parameters
    ----------
    device : Device
        A CUDA device.
    tensor : cupy.ndarray
        C-contiguous components zz, yy, xx, zy, zx, yx.
    keep : cupy.ndarray of bool
        Voxels to compute.
    plan, out
        As in `anisotropy_block`.
    """
    cupy = device.xp
    count = out.mask.size
    mask = cupy.ascontiguousarray(keep).astype(cupy.uint8)
    wanted = (out.measures, out.principal_dir, out.fibre_dir, out.eigenvalues)
    results = [None if a is None else cupy.empty(a.shape, a.dtype) for a in wanted]
    # a null pointer marks an output that is not asked for
    pointers = [np.intp(0) if r is None else r for r in results]
    threads = 256
    _kernel(cupy, plan.dtype == "float16")(
        ((count + threads - 1) // threads,),
        (threads,),
        (
            tensor, mask, np.int64(count), np.int32(NORMALIZATIONS[plan.normalization]),
            np.float32(plan.eigenvalue_factor), *pointers,
        ),
    )  # fmt: skip
    for destination, result in zip(wanted, results, strict=True):
        if destination is not None:
            device.to_numpy(result, out=destination)
    device.to_numpy(mask, out=out.mask)
