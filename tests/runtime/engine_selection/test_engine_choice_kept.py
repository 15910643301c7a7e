"""The choice of an engine is kept, and holds only for what it was made for."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bedside.runtime import (
    BundleError,
    Segmenter,
)
from bedside.runtime.engine_selection import machine_identity, trials
from bedside.runtime.engine_selection.engine_choice import open_choice, open_for_bundle
from bedside.runtime.engine_selection.engine_request import EngineRequest
from bedside.runtime.opened_model import OpenedModel

from .fake_engines import ALL, FP32


class TestTheNextStart:
    def test_takes_the_same_without_measuring_or_testing(self, workshop, write, cached):
        bundle = write(*ALL)
        first = open_for_bundle(bundle, EngineRequest()).choice
        workshop.opened.clear()
        workshop.windows = 0
        workshop.seconds["openvino", "fp32"] = 0.0  # would win now
        assert open_for_bundle(bundle, EngineRequest()).choice == first
        assert (workshop.opened, workshop.windows) == ([first.setting], 0)

    def test_starts_from_what_was_compiled(self, workshop, write, cached):
        bundle = write(FP32)
        open_for_bundle(bundle, EngineRequest(threads=1))
        open_for_bundle(bundle, EngineRequest(threads=1))
        assert workshop.imported == b"compiled by openvino"

    def test_compiles_again_where_that_was_altered(self, workshop, write, cached):
        bundle = write(FP32)
        open_for_bundle(bundle, EngineRequest(threads=1))
        (compiled,) = cached.glob("*.compiled")
        compiled.write_bytes(b"compiled by somebody")
        assert open_for_bundle(bundle, EngineRequest(threads=1)).engine.name == "openvino"
        assert workshop.imported is None

    def test_knows_what_the_engine_will_still_take(self, workshop, write, cached, monkeypatch):
        held = iter(range(1, 1000))
        monkeypatch.setattr(trials, "resident_bytes", lambda: next(held) * 100 * 2**20)
        bundle = write(FP32)
        for run_before, pending in ((True, 0), (False, 100 * 2**20)):
            opened = open_for_bundle(bundle, EngineRequest(engine="openvino", threads=1))
            assert opened.engine.has_run == run_before
            assert OpenedModel(opened.engine, opened.choice).unallocated_bytes == pending

    @pytest.mark.parametrize(
        "change",
        ["bundle", "threads", "limit", "precision", "CPU", "package", "bedside"],
    )
    def test_measures_again_where_anything_is_another(self, workshop, write, cached, monkeypatch, change):
        bundle, asked = write(*ALL), {"engine": "openvino", "threads": 1}
        open_for_bundle(bundle, EngineRequest(**asked))
        if change == "bundle":
            bundle = write(FP32, ("openvino", "int8", True))
        elif change == "CPU":
            monkeypatch.setattr(machine_identity, "cpu_identity", lambda: "another")
        elif change == "package":
            monkeypatch.setattr(machine_identity, "package_version", lambda package: "9.9")
        elif change == "bedside":
            monkeypatch.setattr(machine_identity, "__version__", "9.9")
        else:
            asked |= {"threads": {"threads": 3}, "limit": {"memory_limit": 2**40}, "precision": {"precision": "int8"}}[
                change
            ]
        workshop.windows = 0
        open_for_bundle(bundle, EngineRequest(**asked))
        assert workshop.windows > 0

    @pytest.mark.parametrize("content", [b"{", b"{}", b'{"setting": {"engine": "openvino", "precision": 8}}'])
    def test_measures_again_where_the_record_is_damaged(self, workshop, write, cached, content):
        bundle = write(*ALL)
        first = open_for_bundle(bundle, EngineRequest()).choice
        (record,) = cached.glob("*.json")
        record.write_bytes(content)
        workshop.windows = 0
        open_for_bundle(bundle, EngineRequest())
        assert workshop.windows > 0
        assert json.loads(record.read_bytes())["threads"] == first.threads  # and mends it

    @pytest.mark.parametrize("cache", ["on", "off"])
    def test_of_a_process_that_is_given_the_choice_opens_it_alone(self, workshop, write, cached, monkeypatch, cache):
        if cache == "off":
            monkeypatch.setenv("BEDSIDE_CACHE", "off")
        bundle = write(*ALL)
        choice = open_for_bundle(bundle, EngineRequest(threads=2)).choice
        workshop.opened.clear()
        workshop.windows = 0
        opened = open_choice(bundle, choice)
        assert (opened.choice, opened.engine.threads) == (choice, 2)
        assert (workshop.opened, workshop.windows) == ([choice.setting], 0)
        assert workshop.imported == (b"compiled by openvino" if cache == "on" else None)

    def test_a_failed_self_test_is_not_remembered_as_passed(self, workshop, write, cached):
        workshop.wrong.add(("openvino", "fp32"))
        for _ in range(2):
            with pytest.raises(BundleError, match="self-test"):
                open_for_bundle(write(FP32), EngineRequest(engine="openvino", threads=1))
        assert [path.name for path in cached.iterdir()] == ["measuring.lock"]

    def test_of_several_at_the_same_time_one_measures_and_the_others_take_its_choice(self, workshop, write, cached):
        bundle = write(*ALL)
        with ThreadPoolExecutor(4) as pool:
            opened = list(pool.map(lambda _: open_for_bundle(bundle, EngineRequest()), range(4)))
        assert len({repr(each.choice) for each in opened}) == 1
        assert len(workshop.opened) == len(opened[0].choice.trials) + 3


@pytest.mark.parametrize("streams", [1, 2])
def test_real_engines_repeat_to_the_bit_after_the_choice_is_remembered(bundle_path, cached, streams):
    patch = np.random.default_rng(1).random((1, 1, 8, 12, 16), np.float32)
    results = []
    for _ in range(2):
        with Segmenter.load(bundle_path, threads=streams) as segmenter:
            results.append((segmenter.choice, segmenter.engine.infer(patch)))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])
    assert len(list(cached.glob("*.json"))) == 1
