"""A server for tests: HTTP on loopback, in a thread, with replies from a function."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class TinyAnswer:
    """What the server answers.

    Attributes:
        body: Sent as JSON; a ``str`` is sent as it is. ``None`` closes the connection without an answer.
        status: HTTP status.
        headers: Further headers.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class TinyServer:
    """Listens on a free port of loopback from ``with`` to its end.

    Args:
        answer: Coroutine function that gets the JSON body of a request and returns what is answered. It runs in the
            server's event loop.

    Attributes:
        url: Where it listens.
        asked: The body of every request, in the order in which they came.
        answered: The body of every request whose answer was written to the end.
        in_flight: Requests that came and are not answered yet.
        most_in_flight: The most that there were at one moment.

    Example:
        >>> import urllib.request
        >>> async def answer(body):
        ...     return TinyAnswer({"raw": body["prompt"].upper()})
        >>> with TinyServer(answer) as server:
        ...     reply = urllib.request.urlopen(server.url, b'{"prompt": "beagle"}').read()
        >>> reply
        b'{"raw": "BEAGLE"}'
    """

    def __init__(self, answer: Callable[[Any], Awaitable[TinyAnswer]]) -> None:
        self.url = ""
        self.asked: list[Any] = []
        self.answered: list[Any] = []
        self.in_flight = self.most_in_flight = 0
        self._answer = answer
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="tiny-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._connect, "127.0.0.1", 0, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.url = "http://127.0.0.1:{1}".format(*self._server.sockets[0].getsockname())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        # asyncio loses the socket of a connection that it is still accepting when its server is closed
        while accepting := asyncio.all_tasks() - self._connections.keys() - {asyncio.current_task()}:
            await asyncio.gather(*accepting, return_exceptions=True)
        self._server.close()
        connections = dict(self._connections)
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)

    def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, EOFError, asyncio.CancelledError):  # EOFError: no more requests
            while await self._serve_one(reader, writer):
                pass
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = await self._answer(body)
        finally:
            self.in_flight -= 1
        if answer.body is None:
            return False
        text = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        lines = [f"HTTP/1.1 {answer.status} -", "Content-Type: application/json", f"Content-Length: {len(text)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + text)
        await writer.drain()
        self.answered.append(body)
        return True
