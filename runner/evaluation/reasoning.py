"""Reasoning at the start of a reply, `<think>...</think>`, is not part of the answer."""


def without_reasoning(reply: str) -> str:
    """Return the reply without the reasoning before it."""
    return reply.split("</think>", 1)[1].lstrip() if reply.lstrip().startswith("<think>") and "</think>" in reply else reply
