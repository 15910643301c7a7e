"""Freed heap goes back to the system."""

import platform
from types import SimpleNamespace

import pytest
from bedside.runtime.memory import freed_heap
from bedside.runtime.memory.freed_heap import return_freed_heap

from ...fresh_process import run_fresh


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns freed heap on demand")
def test_freed_blocks_go_back_to_the_system():
    code = (
        "from bedside.runtime.memory.freed_heap import return_freed_heap\n"
        "from bedside.runtime.memory.resident import resident_bytes\n"
        "blocks = [bytearray(60_000) for _ in range(1000)]\n"  # below the size that glibc maps by itself
        "kept = blocks[-1]; del blocks[:]\n"
        "before = resident_bytes(); return_freed_heap(); print(before - resident_bytes())"
    )
    assert run_fresh(code) > 30_000_000


def test_other_c_libraries_have_nothing_to_call(monkeypatch):
    monkeypatch.setattr(freed_heap.ctypes, "CDLL", lambda name: SimpleNamespace())
    return_freed_heap()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(freed_heap.sys, "platform", "win32")
    monkeypatch.setattr(freed_heap.ctypes, "CDLL", None)  # would raise
    return_freed_heap()
