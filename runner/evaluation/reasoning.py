"""Reasoning that a reply begins with, `<think>...</think>`: no part of the answer."""


def without_reasoning(reply: str) -> str:
    """The reply without the reasoning before it."""
    return reply.split("</think>", 1)[1].lstrip() if reply.lstrip().startswith("<think>") and "</think>" in reply else reply
