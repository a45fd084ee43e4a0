"""The server of the tests leaves nothing behind."""

import gc
import socket
from urllib.parse import urlsplit

from fgvr.testing.tiny_server import TinyAnswer, TinyServer


async def answer(body):
    return TinyAnswer({})


def test_a_server_that_ends_while_somebody_connects_closes_what_it_accepted():
    for _ in range(50):
        with TinyServer(answer) as server:
            address = urlsplit(server.url)
            client = socket.create_connection((address.hostname, address.port))
        client.close()
    gc.collect()  # a socket that was forgotten warns here
