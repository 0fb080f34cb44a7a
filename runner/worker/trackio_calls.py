"""Axolotl 0.19 pins trackio 0.19 beside transformers 5.16, whose callback hands `trackio.init` a bucket_id that it does not know yet."""

import inspect
from typing import Any


def admit_bucket() -> None:
    """Let `trackio.init` be called with the callback's bucket_id; one that names a bucket is refused where trackio has no buckets."""
    import trackio

    init = trackio.init
    if "bucket_id" in inspect.signature(init).parameters:
        return

    def init_without_bucket(*arguments: Any, bucket_id: str | None = None, **named: Any) -> Any:
        if bucket_id is not None:
            raise ValueError(f"trackio {trackio.__version__} has no buckets: {bucket_id} cannot be written to")
        return init(*arguments, **named)

    trackio.init = init_without_bucket
