import pytest
from bedside.training.loop.schedule import learning_rate


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 2.26999649e-08),  # 5e-4 · e^-10
        (4, 6.76676416e-05),  # 5e-4 · e^-2
        (5, 4.88735807e-04),  # 5e-4 · 0.975^0.9
        (6, 4.86479524e-04),  # 5e-4 · 0.97^0.9
        (100, 2.67943366e-04),  # 5e-4 · 0.5^0.9
        (199, 4.24661616e-06),  # 5e-4 · 0.005^0.9
    ],
)
def test_rate_of_the_papers_recipe(epoch, expected):
    assert learning_rate(epoch, base=5e-4, epochs=200, warmup=5) == pytest.approx(expected, rel=1e-8)


def test_without_warm_up_the_first_epoch_has_the_base_rate():
    assert learning_rate(0, base=1e-3, epochs=10, warmup=0) == 1e-3
