"""uvicorn's HTTP protocol with limits that it lacks: on what clients leave unsent and unread, send ahead, and on their number."""

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
UNREAD_SECONDS = 60.0
MAX_AHEAD = 1 << 16  # bytes of requests that are sent before the answer to an earlier one
MAX_CONNECTIONS = 2048


class BoundedProtocol(H11Protocol):
    """A connection that is closed if it does not send complete headers in time, or does not take what it asked for.

    If there are too many, the one is closed that has been idle for the longest time.
    """

    _idle: ClassVar[dict["BoundedProtocol", None]] = {}  # connections without a request that is being answered, the oldest first
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the timeout for the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # whatever the client leaves unread counts
        self._wait()
        self._idle[self] = None
        if len(self.connections) > MAX_CONNECTIONS:
            next(iter(self._idle))._drop()

    def data_received(self, data: bytes) -> None:
        """Read data; complete headers end the timeout, the start of another request restarts it."""
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
            self._idle.pop(self, None)
            if self.conn.their_state is h11.DONE and len(self.conn.trailing_data[0]) > MAX_AHEAD:
                self._drop()
        elif self._deadline is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Go on with the next request, which may have come already."""
        super().on_response_complete()
        if not self._is_answering():
            self._idle[self] = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; if its beginning was answered already, close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            if self.cycle is not None:  # the application may have begun with it
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Start the timeout for a client that does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._drop)

    def resume_writing(self) -> None:
        """End it: the client has read everything."""
        super().resume_writing()
        self._stop_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeouts."""
        self._stop_waiting()
        self._stop_unread()
        self._idle.pop(self, None)
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        return False  # there are no WebSockets here: such a request is answered like others

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _close(self) -> None:
        self._deadline = None
        if not self._is_answering():
            self.transport.close()

    def _drop(self) -> None:
        """Close the connection without sending the rest."""
        self._idle.pop(self, None)
        self.transport.abort()
