import math

import pytest
from bedside.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 5e-4 * math.exp(-10)),
        (4, 5e-4 * math.exp(-2)),
        (5, 5e-4 * 0.975**0.9),
        (6, 5e-4 * 0.97**0.9),
        (100, 5e-4 * 0.5**0.9),
        (199, 5e-4 * 0.005**0.9),
    ],
)
def test_rate_of_the_papers_recipe(epoch, expected):
    assert learning_rate(epoch, base=5e-4, epochs=200, warmup=5) == pytest.approx(expected, rel=1e-12)


def test_without_warm_up_the_first_epoch_has_the_base_rate():
    assert learning_rate(0, base=1e-3, epochs=10, warmup=0) == 1e-3
