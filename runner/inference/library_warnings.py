"""Silence what torch's and transformers' libraries print while a model is loaded for a person to use."""

import logging


def silence_libraries() -> None:
    """Silence warnings about kernels that a CPU lacks, and about a new head whose weights the adapter brings."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
