"""Networks that compute in bfloat16 element by element, as every processor can: no test depends on this one's."""

import itertools
import platform

import pytest
import torch
from bedside.runtime.errors import ExitCode, UsageError
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.precision_check import (
    PrecisionComparison,
    check_precision,
    compare_precisions,
    filled_memory,
    worst_of_all,
)
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.recipe import Recipe

from .tiny_fit import figures, make_run, network, objective, train


class Spoilt(torch.autograd.Function):
    """Passes values on and spoils their gradient, multiplying it by a factor, if they are bfloat16."""

    @staticmethod
    def forward(ctx, values, factor):
        ctx.factor = factor
        return values

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor if gradient.dtype == torch.bfloat16 else gradient, None


class Scale(torch.nn.Module):
    """Two logits from one grey value, in bfloat16 under autocast."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.3, -0.2]).reshape(1, 2, 1, 1, 1))
        self.register_buffer("calls", torch.zeros(()))
        self.factor = factor

    def forward(self, image):
        self.calls += 1
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        return Spoilt.apply(image.to(dtype) * self.weight.to(dtype), self.factor)


class Applied(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function.apply(values)


@pytest.fixture
def compare():
    fabric = make_fabric("cpu", "bf16-mixed")
    image = torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))

    def comparison(model):
        return compare_precisions(model, lambda: model(image).float()[:, 0].square().mean(), fabric.autocast)

    return comparison


def test_a_gradient_that_differs_by_rounding_is_sound(compare):
    found = compare(Scale())
    assert found.sound
    assert found.cosine == pytest.approx(1, abs=0.01)
    assert found.norm_ratio == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("factor", [1e32, 2.0, 0.5, -1.0, 0.0, float("nan"), float("inf")])
def test_a_spoilt_gradient_is_not_sound(compare, factor):
    assert not compare(Scale(factor)).sound


def test_where_nothing_can_be_learnt_both_precisions_agree(compare):
    model = Scale()
    torch.nn.init.zeros_(model.weight)  # the loss is the square of its output
    assert compare(model).sound


def test_a_right_length_in_a_wrong_direction_is_not_sound():
    assert not PrecisionComparison(cosine=0.5, norm_ratio=1.0, time_ratio=0.5).sound


ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc fills memory on request")
FRESH = 9_000_000  # float32: more than 32 MB, which glibc takes from the kernel, and that is zeros


class Unwritten(torch.autograd.Function):
    """Passes values on and adds to their bfloat16 gradient what new memory holds."""

    @staticmethod
    def forward(ctx, values):
        return values

    @staticmethod
    def backward(ctx, gradient):
        return gradient + torch.empty(FRESH).sum() if gradient.dtype == torch.bfloat16 else gradient


@ON_GLIBC
def test_a_gradient_that_is_right_only_where_new_memory_holds_zeros_is_not_sound(compare):
    assert not compare(torch.nn.Sequential(Scale(), Applied(Unwritten))).sound


@ON_GLIBC
def test_new_memory_holds_huge_numbers_and_afterwards_what_was_there():
    with filled_memory():
        assert torch.empty(FRESH).min() > 3e38
    assert (torch.empty(FRESH) > 3e38).float().mean() < 0.01  # zeros, or what the heap held before


def test_unsound_gradients_are_not_timed(compare, monkeypatch):
    monkeypatch.setattr("bedside.training.loop.precision_check.time.perf_counter", lambda: pytest.fail("timed"))
    assert not compare(Scale(1e32)).sound


class TwoProcesses:
    """A stand-in for Fabric with two processes: this one, the first, and another one with the given comparison."""

    global_rank, world_size, is_global_zero, strategy, device = 0, 2, True, None, "cpu"

    def __init__(self, other):
        self._other = torch.tensor([[0, 0, 0], [other.cosine, other.norm_ratio, other.time_ratio]]).double()

    def all_reduce(self, own, reduce_op):
        return own + self._other


@pytest.mark.parametrize(
    ("own", "other", "worst"),
    [
        (PrecisionComparison(1, 1, 0.5), PrecisionComparison(1, 1, 0.75), 0.75),
        (PrecisionComparison(1, 1, 0.75), PrecisionComparison(1, 1, 0.5), 0.75),
        (PrecisionComparison(1, 1, 9.0), PrecisionComparison(0, 1, 0.5), 0.5),
        (PrecisionComparison(0, 1, 0.5), PrecisionComparison(1, 1, 9.0), 0.5),
    ],
)
def test_the_slowest_process_decides_unless_one_has_wrong_gradients(own, other, worst):
    assert worst_of_all(own, ProcessGroup(TwoProcesses(other))).time_ratio == worst


def test_weights_buffers_gradients_and_random_state_stay_as_they_were(compare):
    model = torch.nn.Sequential(Scale(), torch.nn.Dropout(0.5), torch.nn.BatchNorm3d(2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    compare(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in model.parameters())


def bf16_run(path, task):
    return make_run(path, task, Recipe(epochs=2, steps_per_epoch=2, lr=0.2, warmup=0, precision="bf16-mixed"))


def test_a_training_in_wrong_bfloat16_ends_before_its_first_step(tmp_path, prepared, small_task):
    model = Scale(1e32)
    before = model.weight.detach().clone()
    with pytest.raises(
        UsageError,
        match=r"bf16-mixed does not work .*: gradient with .* times .* --precision 32-true and another -o$",
    ) as refused:
        train(bf16_run(tmp_path / "run", small_task), prepared, model=model)
    assert refused.value.exit_code == ExitCode.USAGE
    assert torch.equal(model.weight, before)


def test_a_training_in_sound_bfloat16_is_checked_once_and_goes_as_without_the_check(
    tmp_path, prepared, small_task, monkeypatch
):
    runs = {name: bf16_run(tmp_path / name, small_task) for name in ("checked", "unchecked")}
    checked, unchecked = Scale(), Scale()
    train(runs["checked"], prepared, model=checked)
    monkeypatch.setattr("bedside.training.loop.step.check_precision", lambda *_: None)
    train(runs["unchecked"], prepared, model=unchecked)
    assert torch.equal(checked.weight, unchecked.weight)
    assert figures(runs["checked"]) == figures(runs["unchecked"])
    assert not torch.equal(checked.weight, Scale().weight)


def test_a_loss_that_runs_a_network_of_its_own_runs_it_in_the_trainings_precision(tmp_path, prepared, small_task):
    seen = []

    def loss(logits, batch):
        seen.append((torch.is_autocast_enabled("cpu"), logits.dtype))
        return objective(logits, batch)

    train(bf16_run(tmp_path / "run", small_task), prepared, model=Scale(), loss=loss)
    # The check computes the first batch's loss twice in either precision, the second time with a clock; steps follow.
    assert seen == 2 * [(False, torch.float32), (True, torch.float32)] + 4 * [(True, torch.float32)]


def test_a_training_in_float32_is_not_checked(tmp_path, prepared, small_task, monkeypatch):
    monkeypatch.setattr("bedside.training.loop.step.check_precision", lambda *_: pytest.fail("checked"))
    train(make_run(tmp_path / "run", small_task), prepared, model=network())


@pytest.mark.parametrize(
    ("seconds", "level", "expected"),
    [
        ((10, 5), "INFO", "bf16-mixed: a pass needs 0.50 times the time of 32-true"),
        ((10, 30), "WARNING", "bf16-mixed is slower on this processor: a pass needs 3.0 times the time of 32-true"),
    ],
)
def test_the_time_of_a_pass_is_logged_and_a_slower_one_is_a_warning(caplog, monkeypatch, seconds, level, expected):
    times = itertools.accumulate((0, seconds[0], 0, seconds[1]))
    monkeypatch.setattr("bedside.training.loop.precision_check.time.perf_counter", lambda: next(times))
    fabric, model = make_fabric("cpu", "bf16-mixed"), Scale()
    with caplog.at_level("INFO", "bedside.training"):
        check_precision(
            model,
            lambda: model(torch.ones(1, 1, 2, 2, 2)).float().square().sum(),
            fabric.autocast,
            ProcessGroup(fabric),
        )
    (record,) = caplog.records
    assert (record.levelname, expected in record.getMessage()) == (level, True)
