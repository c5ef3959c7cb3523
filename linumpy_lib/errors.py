"""Errors that a user can act on; their text names the file or parameter and the remedy, in one line."""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error that is shown to the user as one line, without a traceback."""


class InputError(PipelineError):
    """An input file, array or table cannot be used as it is."""


class OutputError(PipelineError):
    """A result cannot be written."""


class ParameterError(PipelineError):
    """A parameter is unknown, mistyped or out of range."""


class DeviceError(PipelineError):
    """The requested computing device is absent or cannot run this step."""
