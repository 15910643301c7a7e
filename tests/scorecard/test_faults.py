"""Whichever system call of a write fails, the old file or the whole new one is there, and nothing else."""

import itertools

import msgspec
import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, Grid, ResourceError, read_labels, write_manifest, write_volume
from bedside.runtime.bundles.manifest import MANIFEST_NAME
from bedside.runtime.files import folder_replacement
from bedside.runtime.files.atomic import atomic_directory

from .faults import BROKEN, FORBIDDEN, NO_SPACE, Faults

GRID = Grid((20, 20, 20), np.diag([1, 1, 1, 1]))
OLD, NEW = (np.random.default_rng(seed).integers(0, 14, GRID.shape).astype(np.uint8) for seed in (1, 2))


def last(calls, *names):
    return max(number for number, call in enumerate(calls) if call in names)


@pytest.fixture
def failing_everywhere(tmp_path, monkeypatch, trials, count):
    """Runs a write once for each of its calls and each error, that call failing; checks what is left each time."""

    def check(prepare, write, state):
        """``prepare()`` sets the old state up, ``write()`` writes the new, ``state()`` says "old" or "new"."""
        counting = Faults(tmp_path, None, BROKEN)
        prepare()
        with monkeypatch.context() as patched:
            counting.install(patched)
            write()
        assert state() == "new"
        assert {"open", "write", "fsync", "close", "replace"} <= set(counting.calls)
        # What comes behind the last flush and its close is clearing up.
        calls = counting.calls[: last(counting.calls, "fsync") + 2]
        placed = last(calls, "replace", "exchange")
        every = list(itertools.product(range(len(calls)), (NO_SPACE, BROKEN, FORBIDDEN)))
        for chosen in np.random.default_rng(14).permutation(len(every))[: trials(len(every))]:
            number, code = every[chosen]
            prepare()
            entries = sorted(tmp_path.iterdir())
            faults = Faults(tmp_path, number, code)
            with monkeypatch.context() as patched:
                faults.install(patched)
                with pytest.raises(ResourceError) as caught:
                    write()
            told = (number, calls[number], str(caught.value))
            assert caught.value.exit_code == 5
            # What fails behind the rename (flushing the folder) finds the new file in its place, whole.
            assert state() == ("new" if number > placed else "old"), told
            assert sorted(tmp_path.iterdir()) == entries, told
            count[f"{calls[number]} failed, the {state()} one is there"] += 1

    return check


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_14_a_fault_in_any_call_of_a_label_write(tmp_path, failing_everywhere, ending):
    path = tmp_path / f"labels{ending}"

    def state():
        labels = read_labels(path).data
        return "old" if np.array_equal(labels, OLD) else "new" if np.array_equal(labels, NEW) else "another"

    failing_everywhere(lambda: write_volume(path, OLD, GRID), lambda: write_volume(path, NEW, GRID), state)


@pytest.mark.parametrize("how", ["exchanged", "two renames"])
def test_14_a_fault_in_any_call_of_a_bundle_write(tmp_path, toy, task, failing_everywhere, monkeypatch, how):
    """The bundle writer's frame: a folder filled, its manifest written, all of it put in place at once."""
    if how == "two renames":
        monkeypatch.setattr(folder_replacement, "exchange", lambda *_: False)
    source = toy.write_bundle(tmp_path.parent / f"{tmp_path.name}-source.bedside", task)
    with Bundle.open(source) as opened:
        manifest = opened.manifest
    contents = {name: (source / name).read_bytes() for name in manifest.files}
    path = tmp_path / "toy.bedside"

    def write(words):
        with atomic_directory(path, marker=MANIFEST_NAME) as folder:
            for name, content in contents.items():
                (folder / name).write_bytes(content)
            write_manifest(folder, msgspec.structs.replace(manifest, intended_use=words))

    def state():
        try:
            with Bundle.open(path) as opened:
                return opened.manifest.intended_use
        except BundleError as error:
            return str(error)

    failing_everywhere(lambda: write("old"), lambda: write("new"), state)
