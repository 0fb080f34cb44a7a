"""Serve a target, given as JSON, on a free loopback port, printed as one line on stdout, until standard input ends."""

import json
import os
import sys
import threading

from ...schemas.base.errors import UserError
from ..models.reference import ModelReference
from ..worker.loading import load
from .server import bound, create_app, serve


def main() -> None:
    """Serve the target in argv[1] for the process that started this one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        served = load(ModelReference(**json.loads(sys.argv[1])), chats=True).merged()
    except UserError as error:
        raise SystemExit(str(error)) from None
    listener = bound("127.0.0.1", 0)
    print(json.dumps({"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1"}), flush=True)
    serve(create_app(served), listener)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
