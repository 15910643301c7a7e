"""Reads checkpoint files as plain tensors: safetensors, or torch's format without Python objects that run code."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file

from ..runtime.errors import InputError

# What torch, zipfile and safetensors raise on files that are damaged or of another format.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    pickle.UnpicklingError, SafetensorError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip

_OBJECT = re.compile(r"GLOBAL (\S+)")


def read_tensor_file(path: Path | zipfile.Path, *, advice: str = "", allowed: Sequence[Any] = ()) -> object:
    """Returns the content of a checkpoint: mostly a dictionary of tensors, or of dictionaries of them.

    Args:
        path: ``.safetensors``, or any other ending for torch's format; in a folder or within a zip.
        advice: what to do about a file that is refused, for the message; empty for nothing.
        allowed: classes and functions beyond torch's own that the file may call when it is read.

    Raises:
        InputError: the file cannot be read, is damaged, or holds other Python objects, which could run code.
    """
    try:
        if path.name.endswith(".safetensors"):
            return load_file(path) if isinstance(path, Path) else load(path.read_bytes())
        source = path if isinstance(path, Path) else BytesIO(path.read_bytes())
        if zipfile.is_zipfile(source):  # torch does not check what it reads against the archive's checksums
            with zipfile.ZipFile(source) as archive:
                broken = archive.testzip()
            if broken is not None:
                raise InputError(f'"{path.name}" is damaged: a checksum inside does not match; download it again')
        if isinstance(source, BytesIO):
            source.seek(0)
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(allowed)):
            warnings.simplefilter("ignore")  # torch warns of another pickle protocol; the error says what is wrong
            return torch.load(source, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = _reason(error, advice)
        raise InputError(f'"{path.name}" cannot be read as a checkpoint of plain tensors: {reason}') from error


def _reason(error: Exception, advice: str) -> str:
    """Returns why torch cannot read a file, and what to do instead of torch's advice to trust a file with objects."""
    message = str(error)
    named = _OBJECT.search(message)
    if named:
        otherwise = f", or {advice}" if advice else ""
        return f"it holds Python objects ({named[1]}), which could run code; save its tensors alone{otherwise}"
    reason = "it is none, or damaged" if "Weights only" in message else message.partition("\n")[0].rstrip(".")
    return f"{reason}; {advice}" if advice else reason
