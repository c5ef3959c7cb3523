"""Machine code of kernels that is kept on disk and runs without Numba.

To import Numba and to have it look for its cached functions takes longer than most tasks need for a gigabyte. A kernel
that is called through pointers needs neither: Numba compiles it once per machine and kind of processor, and later
processes load the object file with llvmlite, which takes a few hundredths of a second.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.kernel_cache import kernel_cache

_lock = threading.Lock()
_SYMBOL = "kernel"
# What the wrapper of a compiled function would call had it raised, which kernels cannot; and what code may call.
_NEVER = ("numba_gil_ensure", "numba_gil_release", "NRT_MemInfo_call_dtor")
_MEMORY = ("memcpy", "memset", "memmove")


def _processor() -> str:
    """Tell processors apart by what they can execute."""
    parts = [platform.machine(), platform.processor()]
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        parts += [line for line in first if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@cache
def cache_folder() -> Path:
    """Return the folder for machine code of this kind of processor."""
    folder = kernel_cache() / f"kernels-{_processor()}"
    folder.mkdir(exist_ok=True)
    return folder


@cache
def kernel(module: str, name: str) -> Callable[..., int]:
    """Load a compiled function, which runs without the interpreter lock.

    Parameters
    ----------
    module : str
        Module with the function and its signature, ``NAME_TYPES``, a Numba signature of pointers and int64 that returns
        an int64. It is imported, and Numba with it, only if the machine code is not there yet.
    name : str
        The function. It must not raise.

    Returns
    -------
    callable
        Takes C-contiguous arrays for pointers and int for int64. Types and sizes are the caller's responsibility.
    """
    with _lock:
        path = cache_folder() / f"{module.rpartition('.')[2]}.{name}-{_key(module)}.o"
        try:
            code = path.read_bytes()
        except OSError:
            code = _compile(module, name, path)
        return _load(code)


def _key(module: str) -> str:
    """Tell machine code apart by all that it follows from; the folder tells processors apart."""
    origin = importlib.util.find_spec(module)
    assert origin is not None
    assert origin.origin is not None
    digest = hashlib.sha256(Path(origin.origin).read_bytes())
    digest.update(Path(__file__).read_bytes())
    for library in ("numba", "llvmlite"):
        digest.update(importlib.metadata.version(library).encode())
    return digest.hexdigest()[:16]


def _compile(module: str, name: str, path: Path) -> bytes:
    import llvmlite.binding as llvm
    import numba

    began = time.perf_counter()
    source = importlib.import_module(module)
    signature = getattr(source, f"{name.upper()}_TYPES")
    compiled = numba.cfunc(signature, error_model="numpy", boundscheck=False)(getattr(source, name))
    text = compiled.inspect_llvm().replace(compiled.native_name, _SYMBOL)
    for word in _NEVER:
        text = text.replace(f"@{word}", f"@never_{word}")
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )
    code: bytes = machine.emit_object(llvm.parse_assembly(text))
    # Others may compile the same at the same time: whoever is last wins, and all wrote the same.
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    with os.fdopen(handle, "wb") as file:
        file.write(code)
    os.replace(unfinished, path)
    seconds = time.perf_counter() - began
    logging.getLogger(__name__).info("compiled %s in %.1f s (kept in %s)", name, seconds, path.parent)
    return code


def _load(code: bytes) -> Callable[..., int]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.CDLL(None)
    for word in _MEMORY:
        llvm.add_symbol(word, _address(library, word))
    for word in _NEVER:
        llvm.add_symbol(f"never_{word}", _address(library, "abort"))
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    binary = llvm.ObjectFileRef.from_data(code)
    engine.add_object_file(binary)
    engine.finalize_object()
    address = engine.get_function_address(_SYMBOL)

    def call(*arguments: npt.NDArray[Any] | int) -> int:
        words = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
        result: int = ctypes.CFUNCTYPE(ctypes.c_int64, *(ctypes.c_int64 for _ in words))(address)(*words)
        return result

    # The machine code lives as long as the engine does.
    vars(call)["engine"] = (engine, binary)
    return call


def _address(library: ctypes.CDLL, name: str) -> int:
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert address is not None
    return address
