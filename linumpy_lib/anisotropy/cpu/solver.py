"""Closed-form eigen solver of 3x3 symmetric positive semidefinite tensors and the measures, sixteen voxels at a time.

The trace-scaled tensor gives the better separated extreme eigenvalue without trigonometry (with t = |det(B)|/2 it is
q +- 2p cos(acos(t)/3), analytic in t on [0, 1]); its vector is the longest cross product of two rows of J - lambda I;
the other two come from the 2x2 problem in the plane across it, which keeps float32 accuracy where eigenvalues nearly
coincide. Smith (1961) for the eigenvalues; Duff et al. (2017) for the frame.
"""

from __future__ import annotations

import numpy as np

from linumpy_lib.anisotropy.cpu.simd import (
    LANES,
    both,
    copysign,
    fabs,
    fma,
    larger,
    load,
    load_flags,
    smaller,
    splat,
    sqrt,
    store,
    store_flags,
    where,
)
from linumpy_lib.compiled import inline_kernel

# rows of the result buffer
FA, CL, CP, CS, CP_NORM, LAMBDA2_RATIO = range(6)
FIRST_VECTOR, LAST_VECTOR, EIGENVALUES = 6, 9, 12
RESULT_ROWS = 15
TINY = float(np.finfo(np.float32).tiny)
HUGE = float(np.finfo(np.float32).max)
EPSILON2 = float(np.finfo(np.float32).eps) ** 2
TIE_MARGIN = 1.00001
RATIO_LIMIT = 65504.0  # largest float16
LAMBDA1, TRACE, SEED = 0, 1, 2


@inline_kernel
def cosine_of_third(t):
    """cos(acos(t) / 3) on [0, 1], Chebyshev fit of degree 8, absolute error 2e-09."""
    value = splat(-0.00030932018690678516)
    value = fma(value, t, 0.0017909605524383694)
    value = fma(value, t, -0.004972568163275133)
    value = fma(value, t, 0.00942007458168282)
    value = fma(value, t, -0.015124763175307933)
    value = fma(value, t, 0.0246088319505374)
    value = fma(value, t, -0.048105021730373745)
    value = fma(value, t, 0.16666639962372146)
    return fma(value, t, 0.8660254053677889)


@inline_kernel
def signed(z, y, x, keep):
    """Sign that makes the component of largest magnitude positive (ties: z before y before x); 0 outside `keep`."""
    az = fabs(z)
    ay = fabs(y)
    lead = where(ay > az * TIE_MARGIN, y, z)
    lead = where(fabs(x) > larger(ay, az) * TIE_MARGIN, x, lead)
    return where(keep, copysign(1.0, lead), 0.0)


@inline_kernel
def solve_rows(tensor, pitch, flags, flags_at, result, count, normalization, unscale):
    """Turn a row of tensors (zz, yy, xx, zy, zx, yx) into measures, e1, e3, eigenvalues; 0 where flag or trace is."""
    for i in range(0, count, LANES):
        zz = load(tensor, i)
        yy = load(tensor, pitch + i)
        xx = load(tensor, 2 * pitch + i)
        trace = zz + yy + xx
        keep = both(load_flags(flags, flags_at + i), both(trace >= TINY, trace <= HUGE))
        store_flags(flags, flags_at + i, keep)
        scale = 1.0 / where(keep, trace, 1.0)
        zz = where(keep, zz * scale, 0.0)
        yy = where(keep, yy * scale, 0.0)
        xx = where(keep, xx * scale, 0.0)
        zy = where(keep, load(tensor, 3 * pitch + i) * scale, 0.0)
        zx = where(keep, load(tensor, 4 * pitch + i) * scale, 0.0)
        yx = where(keep, load(tensor, 5 * pitch + i) * scale, 0.0)
        # B = (J - qI) / p with trace 0 and det(B)/2 = cos(3 angle)
        q = (zz + yy + xx) * (1.0 / 3.0)
        a = zz - q
        b = yy - q
        c = xx - q
        off = fma(zy, zy, fma(zx, zx, yx * yx))
        p2 = fma(a, a, fma(b, b, fma(c, c, off + off))) * (1.0 / 6.0)
        # below machine epsilon (of the trace) the tensor is isotropic to rounding
        inverse_p = where(p2 > EPSILON2, 1.0 / sqrt(larger(p2, EPSILON2)), 0.0)
        p = p2 * inverse_p
        minor_a = fma(b, c, -(yx * yx))
        minor_b = fma(zx, yx, -(zy * c))
        minor_c = fma(zy, yx, -(b * zx))
        r = fma(a, minor_a, fma(zy, minor_b, zx * minor_c)) * inverse_p * inverse_p * inverse_p * 0.5
        one = splat(1.0)
        zero = splat(0.0)
        prolate = r >= 0.0  # lambda1 is the better separated one, else lambda3
        side = where(prolate, 1.0, -1.0)
        extreme = fma(side * (p + p), cosine_of_third(smaller(fabs(r), one)), q)
        # its eigenvector: the longest cross product of two rows of J - extreme I
        a = zz - extreme
        b = yy - extreme
        c = xx - extreme
        aa = fma(b, c, -(yx * yx))
        bb = fma(a, c, -(zx * zx))
        cc = fma(a, b, -(zy * zy))
        ab = fma(zx, yx, -(zy * c))
        ac = fma(zy, yx, -(zx * b))
        bc = fma(zy, zx, -(a * yx))
        na = fma(aa, aa, fma(ab, ab, ac * ac))
        nb = fma(ab, ab, fma(bb, bb, bc * bc))
        nc = fma(ac, ac, fma(bc, bc, cc * cc))
        pick = nb > na
        vz = where(pick, ab, aa)
        vy = where(pick, bb, ab)
        vx = where(pick, bc, ac)
        n = larger(na, nb)
        pick = nc > n
        vz = where(pick, ac, vz)
        vy = where(pick, bc, vy)
        vx = where(pick, cc, vx)
        n = larger(n, nc)
        regular = n > EPSILON2 * EPSILON2
        inverse = 1.0 / sqrt(where(regular, n, one))
        vz = where(regular, vz * inverse, one)
        vy = where(regular, vy * inverse, zero)
        vx = where(regular, vx * inverse, zero)
        # orthonormal frame (t, u) across v
        sx = copysign(one, vx)
        k = -1.0 / (sx + vx)
        m = vz * vy * k
        tz = fma(sx * vz * vz, k, one)
        ty = sx * m
        tx = -(sx * vz)
        uz = m
        uy = fma(vy * vy, k, sx)
        ux = -vy
        # the 2x2 problem in that plane
        jz = fma(zz, tz, fma(zy, ty, zx * tx))
        jy = fma(zy, tz, fma(yy, ty, yx * tx))
        jx = fma(zx, tz, fma(yx, ty, xx * tx))
        tt = fma(tz, jz, fma(ty, jy, tx * jx))
        tu = fma(uz, jz, fma(uy, jy, ux * jx))
        jz = fma(zz, uz, fma(zy, uy, zx * ux))
        jy = fma(zy, uz, fma(yy, uy, yx * ux))
        jx = fma(zx, uz, fma(yx, uy, xx * ux))
        uu = fma(uz, jz, fma(uy, jy, ux * jx))
        half = (tt - uu) * 0.5
        mean = (tt + uu) * 0.5
        radius = sqrt(fma(half, half, tu * tu))
        big = mean + radius
        small = mean - radius
        # vector of the larger one: (half + radius, tu) or (tu, radius - half), the longer
        long = fabs(half) + radius
        plus = half >= 0.0
        cosine = where(plus, long, tu)
        sine = where(plus, tu, long)
        n = fma(long, long, tu * tu)
        regular = n > 1e-36
        inverse = 1.0 / sqrt(where(regular, n, one))
        cosine = where(regular, cosine * inverse, one)
        sine = where(regular, sine * inverse, zero)
        bz = fma(cosine, tz, sine * uz)
        by = fma(cosine, ty, sine * uy)
        bx = fma(cosine, tx, sine * ux)
        sz = fma(cosine, uz, -(sine * tz))
        sy = fma(cosine, uy, -(sine * ty))
        sx = fma(cosine, ux, -(sine * tx))
        # order by construction
        l1 = where(prolate, extreme, big)
        l2 = where(prolate, big, small)
        l3 = where(prolate, small, extreme)
        l3 = larger(l3, zero)
        l2 = larger(l2, l3)
        l1 = larger(l1, l2)
        e1z = where(prolate, vz, bz)
        e1y = where(prolate, vy, by)
        e1x = where(prolate, vx, bx)
        e3z = where(prolate, sz, vz)
        e3y = where(prolate, sy, vy)
        e3x = where(prolate, sx, vx)
        sign = signed(e1z, e1y, e1x, keep)
        store(result, FIRST_VECTOR * pitch + i, e1z * sign)
        store(result, (FIRST_VECTOR + 1) * pitch + i, e1y * sign)
        store(result, (FIRST_VECTOR + 2) * pitch + i, e1x * sign)
        sign = signed(e3z, e3y, e3x, keep)
        store(result, LAST_VECTOR * pitch + i, e3z * sign)
        store(result, (LAST_VECTOR + 1) * pitch + i, e3y * sign)
        store(result, (LAST_VECTOR + 2) * pitch + i, e3x * sign)
        # measures; one division serves 1/l1, 1/sum(l^2) and 1/(l1 - l3), none of which underflows at trace 1
        d12 = l1 - l2
        d23 = l2 - l3
        d13 = l1 - l3
        squares = fma(l1, l1, fma(l2, l2, l3 * l3))
        spread = d13 > 0.0
        wide = where(spread, d13, one)
        both_sizes = where(keep, l1 * squares, 1.0)
        inverse = 1.0 / (both_sizes * wide)
        over_l1 = inverse * squares * wide
        fa = sqrt(fma(d12, d12, fma(d23, d23, d13 * d13)) * 0.5 * (inverse * l1 * wide))
        store(result, FA * pitch + i, smaller(fa, one))
        if normalization == LAMBDA1:
            store(result, CL * pitch + i, d12 * over_l1)
            store(result, CP * pitch + i, d23 * over_l1)
            store(result, CS * pitch + i, l3 * over_l1)
        else:
            total = 1.0 / where(keep, l1 + l2 + l3, 1.0)
            store(result, CS * pitch + i, l3 * total * 3.0)
            if normalization == TRACE:
                store(result, CL * pitch + i, d12 * total)
                store(result, CP * pitch + i, (d23 + d23) * total)
            else:
                store(result, CL * pitch + i, d12 * over_l1)
                store(result, CP * pitch + i, d23 * over_l1)
        store(result, CP_NORM * pitch + i, where(spread, smaller(d12 * (inverse * both_sizes), one), zero))
        floor = larger(l3, l2 * (1.0 / RATIO_LIMIT))
        held = floor > 0.0
        ratio = smaller(where(held, l2, one) / where(held, floor, one), RATIO_LIMIT)
        store(result, LAMBDA2_RATIO * pitch + i, where(keep, ratio, zero))
        size = where(keep, smaller(trace * unscale, HUGE), zero)
        store(result, EIGENVALUES * pitch + i, l1 * size)
        store(result, (EIGENVALUES + 1) * pitch + i, l2 * size)
        store(result, (EIGENVALUES + 2) * pitch + i, l3 * size)
