"""Sixteen-lane float vectors for Numba kernels, with exactly specified rounding.

Every operation is one IEEE operation (no fast-math), so a voxel gets the same bits wherever it lies in a row, a tile or
a block, for any thread count and any SIMD width; LLVM splits the vectors to what the machine has (AVX-512, AVX2, NEON).
"""

from __future__ import annotations

import operator
import platform
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, config, types
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

LANES = 16
_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_VECTOR = ir.VectorType(_F32, LANES)
_INTS = ir.VectorType(_I32, LANES)


class _Vector(types.Type):
    """Sixteen float32 lanes."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")

    def can_convert_from(self, typingctx: Any, other: Any) -> Any:
        """Scalars are broadcast to every lane."""
        return Conversion.safe if isinstance(other, types.Float | types.Integer) else None


class _Mask(types.Type):
    """Sixteen booleans."""

    def __init__(self) -> None:
        super().__init__(name="bool16")


vector = _Vector()
mask = _Mask()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


@register_model(_Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), LANES))


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(
        ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined), value, ir.Constant(_I32, 0)
    )
    return builder.shuffle_vector(one, one, ir.Constant(_INTS, [0] * LANES))


def _llvm(name: str, operands: int) -> Callable[..., Any]:
    """Code generator that calls one of LLVM's vector intrinsics."""
    function_type = ir.FunctionType(_VECTOR, [_VECTOR] * operands)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        full_name = f"llvm.{name}.v{LANES}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, function_type, full_name), args)

    return emit


def _constant(values: int) -> Any:
    return ir.Constant(_INTS, [values] * LANES)


@lower_cast(types.Float, _Vector)
@lower_cast(types.Integer, _Vector)
def _broadcast(context: Any, builder: Any, fromty: Any, toty: Any, val: Any) -> Any:
    return _splat(builder, context.cast(builder, val, fromty, types.float32))


def _vector_operator(function: Any, emit: Callable[[Any, Any, Any], Any], result: Any = vector) -> None:
    """Give a Python operator a meaning for vectors; a scalar on either side is broadcast."""

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            known = all(isinstance(a, _Vector | types.Float | types.Integer) for a in args)
            return signature(result, *[vector] * 2) if len(args) == 2 and vector in args and known else None

    @lower_builtin(function, _Vector, _Vector)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, *args)


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(vector, vector) if args == (vector,) else None


@lower_builtin(operator.neg, _Vector)
def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])


_vector_operator(operator.add, lambda b, x, y: b.fadd(x, y))
_vector_operator(operator.sub, lambda b, x, y: b.fsub(x, y))
_vector_operator(operator.mul, lambda b, x, y: b.fmul(x, y))
_vector_operator(operator.truediv, lambda b, x, y: b.fdiv(x, y))
_vector_operator(operator.gt, lambda b, x, y: b.fcmp_ordered(">", x, y), mask)
_vector_operator(operator.lt, lambda b, x, y: b.fcmp_ordered("<", x, y), mask)
_vector_operator(operator.le, lambda b, x, y: b.fcmp_ordered("<=", x, y), mask)
_vector_operator(operator.ge, lambda b, x, y: b.fcmp_ordered(">=", x, y), mask)


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, element: Any) -> Any:
    """Point to `element` at a flat index, without Python's negative-index rule (a select per access)."""
    view = context.make_array(array_type)(context, builder, array)
    return builder.bitcast(builder.gep(view.data, [index]), element.as_pointer())


@intrinsic
def splat(typingctx: Any, value: Any) -> Any:
    """Make a vector with the same number in every lane."""
    return vector(types.float32), lambda context, builder, sig, args: _splat(builder, args[0])


@intrinsic
def item(typingctx: Any, array: Any, index: Any) -> Any:
    """One element of a flat array, without the negative-index rule."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element = context.get_data_type(sig.args[0].dtype)
        return builder.load(_address(context, builder, sig.args[0], args[0], args[1], element))

    return array.dtype(array, types.intp), emit


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours of a flat float32 array from `index` on."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _address(context, builder, sig.args[0], args[0], args[1], _VECTOR)
        return builder.load(pointer, align=4)

    return vector(array, types.intp), emit


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write sixteen lanes to a flat array: float32 as they are, uint16 as float16 bits (nearest, ties to even)."""
    half = array.dtype == types.uint16

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = _half_bits(builder, args[2]) if half else args[2]
        builder.store(
            lanes, _address(context, builder, sig.args[0], args[0], args[1], lanes.type), align=2 if half else 4
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a*b + c with one rounding."""
    return vector(vector, vector, vector), _llvm("fma", 3)


@intrinsic
def sqrt(typingctx: Any, a: Any) -> Any:
    """Square root, correctly rounded."""
    return vector(vector), _llvm("sqrt", 1)


@intrinsic
def fabs(typingctx: Any, a: Any) -> Any:
    """Absolute value."""
    return vector(vector), _llvm("fabs", 1)


@intrinsic
def copysign(typingctx: Any, a: Any, b: Any) -> Any:
    """Magnitude of `a` with the sign of `b`."""
    return vector(vector, vector), _llvm("copysign", 2)


@intrinsic
def where(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """Take `a` where the condition holds, else `b`."""
    return vector(mask, vector, vector), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Take the larger of two."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return vector(vector, vector), emit


@intrinsic
def smaller(typingctx: Any, a: Any, b: Any) -> Any:
    """Take the smaller of two."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return vector(vector, vector), emit


@intrinsic
def load_flags(typingctx: Any, array: Any, index: Any) -> Any:
    """Sixteen neighbours of a flat uint8 array as booleans."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bytes16 = ir.VectorType(ir.IntType(8), LANES)
        pointer = _address(context, builder, sig.args[0], args[0], args[1], bytes16)
        return builder.icmp_unsigned("!=", builder.load(pointer, align=1), ir.Constant(bytes16, [0] * LANES))

    return mask(array, types.intp), emit


@intrinsic
def store_flags(typingctx: Any, array: Any, index: Any, condition: Any) -> Any:
    """Write sixteen booleans to a flat uint8 array."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = builder.zext(args[2], ir.VectorType(ir.IntType(8), LANES))
        builder.store(lanes, _address(context, builder, sig.args[0], args[0], args[1], lanes.type), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, mask), emit


@intrinsic
def both(typingctx: Any, a: Any, b: Any) -> Any:
    """Logical and."""
    return mask(mask, mask), lambda context, builder, sig, args: builder.and_(*args)


def has_half_instructions() -> bool:
    """Whether this machine (as Numba compiles for it) converts to float16 in hardware."""
    if config.CPU_NAME or config.CPU_FEATURES is not None:
        return "+f16c" in (config.CPU_FEATURES or "")
    return bool(binding.get_host_cpu_features().get("f16c")) or platform.machine().lower() in {"aarch64", "arm64"}


def _half_bits(builder: Any, lanes: Any) -> Any:
    if has_half_instructions():
        half = builder.fptrunc(lanes, ir.VectorType(ir.HalfType(), LANES))
        return builder.bitcast(half, ir.VectorType(ir.IntType(16), LANES))
    return half_bits_by_integers(builder, lanes)


def half_bits_by_integers(builder: Any, lanes: Any) -> Any:
    """Emit float32 -> float16 bits by integers: nearest, ties to even, with subnormals, infinities and NaN."""
    bits = builder.bitcast(lanes, _INTS)
    sign = builder.lshr(builder.and_(bits, _constant(0x80000000)), _constant(16))
    size = builder.and_(bits, _constant(0x7FFFFFFF))
    # normal halves: rebias the exponent by 112 and round at bit 13, ties to even
    odd = builder.and_(builder.lshr(size, _constant(13)), _constant(1))
    normal = builder.lshr(
        builder.add(builder.sub(size, _constant(112 << 23)), builder.add(odd, _constant(0xFFF))), _constant(13)
    )
    # subnormal halves: adding 0.5 makes the float adder round at 2**-24; the low bits of the sum are the result
    magic = _constant(126 << 23)
    total = builder.fadd(builder.bitcast(size, _VECTOR), builder.bitcast(magic, _VECTOR))
    subnormal = builder.sub(builder.bitcast(total, _INTS), magic)
    nan = builder.or_(builder.lshr(size, _constant(13)), _constant(0x7E00))
    nan = builder.and_(nan, _constant(0x7FFF))
    out = builder.select(builder.icmp_unsigned("<", size, _constant(113 << 23)), subnormal, normal)
    out = builder.select(builder.icmp_unsigned(">=", size, _constant(0x477FF000)), _constant(0x7C00), out)
    out = builder.select(builder.icmp_unsigned(">", size, _constant(0x7F800000)), nan, out)
    return builder.trunc(builder.or_(out, sign), ir.VectorType(ir.IntType(16), LANES))


@intrinsic
def store_half_by_integers(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Like `store` into uint16, always by integer operations (the path of machines without float16 instructions)."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = half_bits_by_integers(builder, args[2])
        builder.store(lanes, _address(context, builder, sig.args[0], args[0], args[1], lanes.type), align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit
