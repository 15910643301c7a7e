import gc
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.data import crops
from bedside.training.data.crops import CropSource
from bedside.training.data.prepared_case import PreparedCase
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.loader import CropLoader, CropOrder
from bedside.training.recipe import Augmentation, Recipe
from hypothesis import given
from hypothesis import strategies as st


def order(rank, size, *, steps=3, epoch=0, step=0, **options):
    recipe = Recipe(warmup=0, **options)
    return list(CropOrder(recipe, SimpleNamespace(rank=rank, size=size), steps=steps, epoch=epoch, step=step))


def test_one_process_takes_crops_in_a_row():
    assert order(0, 1, epochs=2, batch=2, steps=2) == [
        [(0, 0), (0, 1)], [(0, 2), (0, 3)], [(1, 0), (1, 1)], [(1, 2), (1, 3)],
    ]  # fmt: skip


def test_two_processes_take_batches_in_turn():
    assert order(0, 2, epochs=1, batch=2, steps=2) == [[(0, 0), (0, 1)], [(0, 4), (0, 5)]]
    assert order(1, 2, epochs=1, batch=2, steps=2) == [[(0, 2), (0, 3)], [(0, 6), (0, 7)]]


def test_a_resumed_training_goes_on_with_the_next_step():
    whole = order(0, 1, epochs=3, batch=2)
    assert order(0, 1, epochs=3, batch=2, epoch=1, step=2) == whole[5:]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_every_step_takes_the_same_batches_whatever_the_number_of_processes(processes, accumulate, batch, steps):
    alone = order(0, 1, epochs=2, batch=batch, accumulate=accumulate * processes, steps=steps)
    shares = [
        order(rank, processes, epochs=2, batch=batch, accumulate=accumulate, steps=steps) for rank in range(processes)
    ]
    per_step = accumulate * processes
    for step in range(2 * steps):
        taken = [share[step * accumulate + turn] for share in shares for turn in range(accumulate)]
        assert sorted(taken) == sorted(alone[step * per_step : (step + 1) * per_step])


@pytest.mark.parametrize(
    ("cases", "options", "steps"),
    [(24, {}, 24), (24, {"batch": 2}, 12), (24, {"processes": 4, "accumulate": 2}, 3), (25, {"processes": 4}, 7)],
)
def test_an_epoch_has_as_many_steps_as_it_takes_to_see_every_case(cases, options, steps):
    assert Recipe(**options).steps(cases) == steps


LIVELY = Recipe(warmup=0, epochs=3, batch=2, augmentation=Augmentation(flip=0.5, rotate=0.5, scale=0.5, shift=0.5))
STEPS = 4


def loader(cases, task, workers):
    order = CropOrder(LIVELY, SimpleNamespace(rank=0, size=1), steps=STEPS, epoch=0, step=0)
    sources, fabric = [CropSource(case) for case in cases], make_fabric("cpu", "32-true")
    return CropLoader(sources, task.replaced(patch=(16, 16, 8)), LIVELY, order, fabric=fabric, workers=workers)


def loading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("bedside-crops")]


def all_batches(cases, task, workers):
    with loader(cases, task, workers) as loading:
        return [loading.next_batch() for _ in range(3 * STEPS)]


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_bring_the_same_batches_in_the_same_order(prepared, small_task, workers):
    alone, together = (all_batches(prepared, small_task, number) for number in (0, workers))
    assert alone[0]["image"].shape == (2, 1, 8, 16, 16)
    assert not torch.equal(alone[0]["image"], alone[1]["image"])
    for one, other in zip(alone, together, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_loading_starts_threads_and_no_process_that_could_die_or_be_left_over(prepared, small_task, children):
    with loader(prepared, small_task, 2) as loading:
        loading.next_batch()
        assert len(loading_threads()) == 2
        assert children() == []
    assert loading_threads() == []


def test_threads_end_when_training_fails(prepared, small_task):
    def fail():
        with loader(prepared, small_task, 2) as loading:
            loading.next_batch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert loading_threads() == []


def test_what_a_thread_refuses_reaches_the_training_in_its_own_words(prepared, small_task, tmp_path):
    cases = [PreparedCase.open(shutil.copytree(case.folder, tmp_path / case.folder.name)) for case in prepared]
    for case in cases:
        (case.folder / "image.npy").write_bytes(b"")
    with (
        loader(cases, small_task, 2) as loading,
        pytest.raises(InputError, match=r"image\.npy is missing or damaged; start again"),
    ):
        loading.next_batch()


def test_loading_takes_no_core_from_the_network(prepared, small_task):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with loader(prepared, small_task, 2) as loading, ThreadPoolExecutor(1) as autograds:
            loading.next_batch()
            assert torch.get_num_threads() == 3
            assert autograds.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_threads_that_the_system_does_not_allow_are_an_error_and_not_a_wait(prepared, small_task, monkeypatch):
    start = threading.Thread.start

    def one_alone(thread):
        if loading_threads():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", one_alone)
    with pytest.raises(RuntimeError, match="can't start new thread"), loader(prepared, small_task, 2):
        pass


def open_arrays():
    gc.collect()  # files of earlier tests, whose loaders were not yet collected, are closed first
    return {file.path for file in psutil.Process().open_files() if file.path.endswith(".npy")}


def test_a_data_set_of_many_cases_keeps_the_files_of_few_open(prepared, small_task, monkeypatch):
    monkeypatch.setattr(crops, "OPEN_CASES", 1)
    before = open_arrays()
    with loader(prepared, small_task, 0) as loading:
        for _ in range(STEPS):
            loading.next_batch()
        assert len(open_arrays() - before) == 3  # image, labels and centres of one of the two cases
