"""Memory of a machine, from recorded lines of the kernel."""

from __future__ import annotations

import pytest
from bedside.runtime.memory.meminfo import MachineMemory, read_meminfo


@pytest.mark.parametrize(
    ("lines", "expected", "used"),
    [
        ("MemTotal: 9 kB\nMemFree: 2 kB\nMemAvailable:    7 kB", MachineMemory(9 * 1024, 7 * 1024), 2 * 1024),
        ("MemTotal: 9 kB", MachineMemory(9 * 1024, None), None),
        ("MemTotal: many kB\nMemAvailable:", MachineMemory(None, None), None),
    ],
)
def test_lines_that_are_missing_or_damaged_are_not_readable(tmp_path, lines, expected, used):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"{lines}\n")
    memory = read_meminfo(tmp_path)
    assert (memory, memory.used) == (expected, used)


def test_a_system_without_the_file_tells_nothing(tmp_path):
    assert read_meminfo(tmp_path) == MachineMemory(None, None)


def test_this_machine_has_more_memory_than_is_available():
    memory = read_meminfo()
    assert memory.total is None or memory.available is None or 0 < memory.available <= memory.total
