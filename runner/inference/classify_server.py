"""Serve a classifier: POST /classify in vLLM's format, models, health."""

import asyncio
import secrets
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ...schemas.base.errors import UserError
from .classify import Classifier
from .guards import error_response
from .protocol import BadRequest, classification, read_texts
from .request_body import with_body
from .server import guarded, model_card


class Classifications:
    """The routes' state: the classifier, used by one request at a time."""

    def __init__(self, name: str, classifier: Classifier, max_batch: int) -> None:
        self.name, self.classifier, self.max_batch = name, classifier, max_batch
        self.lock = asyncio.Lock()

    async def health(self, request: Request) -> Response:
        """Return that the model answers."""
        return JSONResponse({"status": "ok", "model": self.name})

    async def models(self, request: Request) -> Response:
        """List the one model."""
        return JSONResponse({"object": "list", "data": [model_card(self.name)]})

    @with_body
    async def classify(self, request: Request, body: Any) -> Response:
        """Answer POST /classify."""
        asked = read_texts(body)
        if body.get("model") not in (None, self.name):
            return error_response(404, f"this server has one model: {self.name}", "model", "model_not_found")
        async with self.lock:
            try:
                found = await asyncio.to_thread(self._classified, asked.texts)
            except UserError as error:
                raise BadRequest(error.problems[0].what, "input") from None
        too_long = [index for index, one in enumerate(found) if one["tokens"] > one["tokens_seen"]]
        if too_long and not asked.truncate:
            longest = self.classifier.sequence_len
            what = f"input {too_long[0]} has {found[too_long[0]]['tokens']} tokens; the model was trained on at most {longest}"
            return error_response(400, f"{what}: shorten it, or send truncate_prompt_tokens: -1", "input", "context_length_exceeded")
        answer = classification(f"classify-{secrets.token_hex(12)}", self.name, self.classifier.labels, found)
        return Response(orjson.dumps(answer), media_type="application/json")

    def _classified(self, texts: list[str]) -> list[dict[str, Any]]:
        batches = (texts[start : start + self.max_batch] for start in range(0, len(texts), self.max_batch))
        return [found for batch in batches for found in self.classifier.classify_all(batch)]


def create_classify_app(name: str, classifier: Classifier, max_batch: int, hosts: tuple[str, ...]) -> Starlette:
    """Return the application. `hosts` are the host names that requests may use."""
    state = Classifications(name, classifier, max_batch)
    routes = [
        Route("/health", state.health), Route("/v1/models", state.models), Route("/classify", state.classify, methods=["POST"]),
    ]  # fmt: skip
    return guarded(routes, hosts)
