import socket

import pytest

from fer_engine.errors import FerError
from studies.serve_client import Client


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_an_answer_is_given_once_it_is_complete(ends):
    ours, theirs = ends
    connection = Client(ours)
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo")
    assert connection.receive() is None
    theirs.sendall(b"ng")
    assert connection.receive().endswith(b"\r\n\r\nlong")


def test_a_closed_connection_is_an_error(ends):
    ours, theirs = ends
    theirs.sendall(b"HTTP/1.1 200 OK\r\n")
    theirs.close()
    connection = Client(ours)
    assert connection.receive() is None
    with pytest.raises(FerError, match="closed the connection after 17 bytes of an answer"):
        connection.receive()
