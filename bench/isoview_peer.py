"""The peer isoview 0.1.0, whose folder ``ISOVIEW_PATH`` names, without what the benchmarks have no use for."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path


def isoview_is_there() -> bool:
    """Tell whether ``ISOVIEW_PATH`` names a folder that holds the peer."""
    return Path(os.environ.get("ISOVIEW_PATH", ""), "isoview", "corrections.py").is_file()


def prepare_isoview() -> None:
    """Make ``isoview.<module>`` importable; its own __init__ imports a viewer, its files a compiled KLB library."""
    if "isoview" in sys.modules:
        return
    package = types.ModuleType("isoview")
    package.__path__ = [str(Path(os.environ["ISOVIEW_PATH"]) / "isoview")]
    sys.modules.update(isoview=package, pyklb=types.ModuleType("pyklb"), xmltodict=types.ModuleType("xmltodict"))
