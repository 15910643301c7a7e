from itertools import permutations

import numpy as np
import pytest
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.windows.axis_order import AxisOrder

ORDERS = [AxisOrder(axes) for axes in permutations(range(3))]


def test_the_longest_axis_is_outermost_and_the_shortest_innermost():
    order = AxisOrder.longest_outside((80, 200, 160))
    assert order.axes == (1, 2, 0)
    assert order.sizes((80, 200, 160)) == (200, 160, 80)


def test_axes_of_one_length_keep_the_models_order():
    assert AxisOrder.longest_outside((64, 64, 64)).axes == (0, 1, 2)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_sizes_and_arrays_come_back_as_they_were(order):
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    turned = order.turned(array)
    assert turned.shape == (2, *order.sizes((3, 4, 5)))
    assert order.sizes_back(order.sizes((3, 4, 5))) == (3, 4, 5)
    assert np.array_equal(order.turned_back(turned), array)
    assert np.shares_memory(order.turned_back(turned), array)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_every_voxel_stays_where_it_is_in_the_world(order):
    affine = np.array([[0.8, -0.6, 0.1, 10], [0.6, 0.8, 0, -20], [0, 0.2, 2.5, 30], [0, 0, 0, 1.0]])
    grid = Grid((5, 4, 3), affine)  # (x, y, z) of a model's array [D, H, W] of (3, 4, 5)
    turned = order.grid(grid)
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    of_model = places.transpose(3, 2, 1, 0)  # [3, D, H, W]
    i, j, k = 1, 2, 0  # of the result, whose x is the innermost axis
    assert turned.shape == tuple(reversed(order.sizes((3, 4, 5))))
    world = turned.affine[:3, :3] @ (i, j, k) + turned.affine[:3, 3]
    assert world == pytest.approx(order.turned(of_model)[:, k, j, i])
