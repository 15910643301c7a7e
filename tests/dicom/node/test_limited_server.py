"""An address may open so many connections a minute, and no more."""

from __future__ import annotations

from bedside.dicom.node.limited_server import ConnectionRate


def test_connections_are_counted_by_address_and_minute():
    rate = ConnectionRate(2)
    assert [rate.takes("a", now) for now in (0, 10, 20)] == [True, True, False]
    assert rate.takes("b", 20)
    assert rate.takes("a", 61)
    assert not rate.takes("a", 62)
    assert rate.takes("a", 71)


def test_addresses_of_the_past_are_forgotten():
    rate = ConnectionRate(1)
    for number in range(100):
        rate.takes(str(number), 0)
    rate.takes("new", 100)
    assert list(rate._opened) == ["new"]
