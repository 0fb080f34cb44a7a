"""The server of a classifier: POST /classify in the form that vLLM has, models, health."""

import asyncio
import secrets
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .classify import Classifier
from .protocol import BadRequest, classification, read_texts
from .server import BODY_SECONDS, error_response, guarded, model_card, read_body, unauthorised


class Classifications:
    """The routes' state: the classifier, which one request at a time uses."""

    def __init__(self, name: str, classifier: Classifier, max_batch: int) -> None:
        self.name, self.classifier, self.max_batch = name, classifier, max_batch
        self.lock = asyncio.Lock()

    async def health(self, request: Request) -> Response:
        """Whether the model answers."""
        return JSONResponse({"status": "ok", "model": self.name})

    async def models(self, request: Request) -> Response:
        """The one model."""
        return JSONResponse({"object": "list", "data": [model_card(self.name)]})

    async def classify(self, request: Request) -> Response:
        """POST /classify."""
        if refused := unauthorised(request):
            return refused
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(request)
            asked = read_texts(body)
        except BadRequest as error:
            return error_response(400, str(error), error.parameter, error.code)
        except TimeoutError:
            return error_response(408, f"the body did not arrive within {BODY_SECONDS:g} seconds", None, "timeout")
        except ClientDisconnect:
            return Response(status_code=499)
        if body.get("model") not in (None, self.name):
            return error_response(404, f"this server has one model: {self.name}", "model", "model_not_found")
        async with self.lock:
            found = await asyncio.to_thread(self._classified, asked.texts)
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
    """The application. `hosts` are the names that it may be called by."""
    state = Classifications(name, classifier, max_batch)
    routes = [
        Route("/health", state.health), Route("/v1/models", state.models), Route("/classify", state.classify, methods=["POST"]),
    ]  # fmt: skip
    return guarded(routes, hosts)
