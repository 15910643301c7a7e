"""How ONNX Runtime's allocator places tensors, in regions of 1, 2, 4, … MiB."""

from __future__ import annotations

from bedside.devices.planner.arena import Arena

MIB = 1 << 20


def test_what_was_given_back_is_used_again():
    arena = Arena()
    arena.release(arena.allocate(MIB))
    arena.allocate(MIB)
    assert arena.touched == MIB


def test_a_tensor_that_no_region_has_room_for_takes_a_new_one_and_the_old_stays():
    arena = Arena()
    arena.release(arena.allocate(MIB))
    arena.allocate(3 * MIB)
    assert arena.touched == (1 + 3) * MIB


def test_the_smallest_block_that_is_large_enough_is_taken():
    arena = Arena()
    blocks = [arena.allocate(size * MIB) for size in (1, 2, 4)]  # each fills a region
    for block in blocks:
        arena.release(block)
    arena.allocate(4 * MIB)
    arena.allocate(2 * MIB)
    assert arena.touched == 7 * MIB  # the two did not share the region of 4


def test_the_rest_of_a_block_is_split_off_only_if_it_is_at_least_as_large_as_the_tensor():
    arena = Arena()
    arena.allocate(MIB)
    arena.allocate(2 * MIB)
    arena.allocate(int(2.5 * MIB))  # fills a region of 4: the 1.5 left are fewer than 2.5, and stay with it
    arena.allocate(MIB)  # in a region of 8
    assert arena.touched == int(6.5 * MIB)
    arena.allocate(7 * MIB)  # the rest of it
    assert arena.touched == int(13.5 * MIB)


def test_free_blocks_side_by_side_join():
    arena = Arena()
    halves = [arena.allocate(MIB // 2) for _ in range(2)]
    for half in halves:
        arena.release(half)
    arena.allocate(MIB)
    assert arena.touched == MIB
