"""The titles of a request are read without taking it from the connection, and a rejection has the standard's bytes."""

import socket
import struct

import pytest
from bedside.dicom.node.association_request import Rejection, Titles, peek_titles, reject

REQUEST = struct.pack(">BBLHH", 1, 0, 68, 1, 0) + b"BEDSIDE".ljust(16) + b"CT1".ljust(16) + bytes(32)


def test_titles_are_read_and_the_request_stays():
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(REQUEST)
        assert peek_titles(ours, 5) == Titles("BEDSIDE", "CT1")
        assert ours.recv(1000) == REQUEST


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n" * 9, struct.pack(">BBL", 1, 0, 2**32 - 1) + bytes(60)])
def test_what_is_no_request_is_refused(sent):
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(OSError, match="the peer"):
            peek_titles(ours, 5)


def test_a_rejection_is_that_of_the_standard():
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.shutdown(socket.SHUT_WR)
        reject(ours, Rejection.CALLING_TITLE, 5)
        assert peer.recv(100) == bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3])  # PS3.8, table 9-21
