"""The socket and the loop of the server."""

import socket

import uvicorn

from ...schemas.base.errors import UserError
from ..worker.loading import Served
from .server import create_app


def bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UserError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(f"{host}:{port} cannot be listened on: {error.strerror}", hint="choose another --port") from None
    listener.listen(1024)
    return listener


def serve(served: Served, listener: socket.socket, max_batch: int = 16, hosts: tuple[str, ...] = (), log_level: str = "info") -> None:
    """Answer until a signal says stop."""
    app = create_app(served, max_batch, hosts) if hosts else create_app(served, max_batch)
    config = uvicorn.Config(app, log_level=log_level, access_log=False, timeout_graceful_shutdown=5, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
