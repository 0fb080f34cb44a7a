"""What reads other people's bytes, under a fuzzer that follows its branches: python benchmarks/fuzz.py TARGET [CORPUS] -max_total_time=600

TARGET is one of readers, yaml, importers, protocol, replies, streams. Needs `pip install atheris` (Linux, no part of the project's extras).
Whatever the bytes are, the result is a value, or a UserError (of the server a BadRequest, of a provider a CallFailed). What was found
stands as cases in tests/.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recipekit.converters", "recipekit.schemas", "recipekit.runner"]):  # pyright: ignore[reportAttributeAccessIssue] - its stubs lack it
    from recipekit.converters.reading.contents import sniff, text_format
    from recipekit.converters.reading.delimiters import is_table, table_format
    from recipekit.converters.reading.readers import READERS, read_lines, read_whole
    from recipekit.converters.reading.records import Drop, Row
    from recipekit.converters.sources.mbti_table import read_posts
    from recipekit.runner.importing.importing import import_config
    from recipekit.runner.inference.protocol import BadRequest, read_request, read_texts
    from recipekit.runner.providers.client import CallFailed, Client, read_completion
    from recipekit.runner.providers.endpoints import endpoint
    from recipekit.runner.providers.judge import read_scores
    from recipekit.runner.providers.requests import ProviderRequest
    from recipekit.runner.providers.transport import GuardedTransport
    from recipekit.schemas.base.redact import redact
    from recipekit.schemas.recipe import load_recipe
import httpx2
import openai
import orjson
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Provider, Sampling

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = ("parquet", "arrow")  # read by another library, in a process of its own
SCRATCH = Path(tempfile.mkdtemp())
ASKED = ProviderRequest("p", "p/m", ({"role": "user", "content": "hi"},), Sampling(), 1)
STREAMING = endpoint(Provider("openai_compatible", "m", base_url="http://127.0.0.1:1/v1", stream=True))
LOOP = asyncio.new_event_loop()
HTTP = httpx2.AsyncClient(follow_redirects=True, max_redirects=3, trust_env=False)
PROVIDER = Client(STREAMING, openai.AsyncOpenAI(api_key="none", base_url=STREAMING.base_url, max_retries=0, http_client=HTTP), 5)


def check(items: Iterable[Row | Drop]) -> None:
    """Every item says where it comes from; a drop also why."""
    for item in items:
        row = item.row if isinstance(item, Drop) else item
        assert row.line >= 1 and row.file == "f", item
        assert not isinstance(item, Drop) or item.reason.replace("_", "").isalnum(), item


def readers(data: bytes) -> None:
    """A source, by its own format and as text."""
    kind = sniff(data)
    text_format(data)
    is_table(data)
    kinds = {kind, "json", table_format(data)} if kind not in SKIPPED else {"jsonl", "json"}
    found = [READERS[name] for name in kinds if name in READERS and name not in SKIPPED]
    for reader in (*found, read_lines, read_whole, read_posts):
        try:
            check(reader(io.BytesIO(data), "f"))
        except UserError as error:
            assert error.problems


def yaml(data: bytes) -> None:
    """A recipe."""
    path = SCRATCH / "recipe.yml"
    path.write_bytes(data)
    try:
        load_recipe(str(path))
    except UserError as error:
        assert error.problems and str(error)


def importers(data: bytes) -> None:
    """A configuration of another tool; the first byte says which."""
    path = SCRATCH / "config.yml"
    path.write_bytes(data[1:])
    try:
        import_config(path, "axolotl" if data[:1] < b"m" else "llamafactory", "imported", SCRATCH)
    except UserError as error:
        assert error.problems and str(error)


def protocol(data: bytes) -> None:
    """The body of a request to the server."""
    try:
        body = orjson.loads(data)
    except ValueError:
        return
    for read in (read_request, read_texts):
        try:
            read(body)
        except BadRequest as error:
            assert str(error)


def replies(data: bytes) -> None:
    """What a provider or a judge answers."""
    text = data.decode("utf-8", "replace")
    redact(text)
    read_scores(text, {"warmth": (1, 5), "safety": (0, 1)})
    read_scores(text, {"warmth": (1, 5)})
    try:
        read_completion(orjson.loads(data), ASKED)
    except (ValueError, CallFailed):
        return


def streams(data: bytes) -> None:
    """A whole answer of a provider to a streamed request: its status and type (the first byte), its headers (a line), and its body."""
    kind, (head, _, body) = (data[:1] or b"\0")[0], data[1:].partition(b"\n")
    status, media = (200, 200, 200, 307, 400, 429, 500)[kind % 7], ("text/event-stream", "application/json", "text/plain")[kind // 7 % 3]
    name, _, value = head.partition(b":")
    headers = [(b"content-type", media.encode()), *([(name, value)] if name.replace(b"-", b"").isalnum() else [])]
    transport = GuardedTransport.__new__(GuardedTransport)  # a pool of connections for each answer would take most of the time
    transport.inner = httpx2.MockTransport(lambda request: httpx2.Response(status, headers=headers, content=body))
    HTTP._transport = transport
    try:
        reply = LOOP.run_until_complete(PROVIDER.ask(ASKED))
        assert isinstance(reply.text, str) and reply.completion_tokens >= 0, reply
    except CallFailed as error:
        assert str(error)


def _sources() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in (ROOT / "tests/examples/converters").rglob("input*") if path.is_file())


def _recipes() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in (ROOT / "recipes").glob("*.yml"))
    yield from (path.read_bytes() for path in (ROOT / "tests/examples/recipes").rglob("*.yml"))


def _configs() -> Iterator[bytes]:
    yield from (b"a" + path.read_bytes() for path in (ROOT / "tests/golden").glob("*/axolotl.yml"))
    yield b"z" + LLAMA_FACTORY


def _requests() -> Iterator[bytes]:
    yield b'{"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "stream": true, "seed": 1}'
    yield b'{"model": "m", "input": ["a", "b"], "truncate_prompt_tokens": -1}'


def _answers() -> Iterator[bytes]:
    scores = orjson.dumps({"warmth": 3, "safety": 1}).decode()
    yield orjson.dumps({"choices": [{"message": {"content": scores}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})
    yield b'I think: {"warmth": 3, "safety": 1} with api_key=sk-abcdefghijklmnop and https://me:secret@example.org/x'


def _streams() -> Iterator[bytes]:
    delta = {
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1},
    }
    yield b"\0retry-after: 3\ndata: " + orjson.dumps(delta) + b"\n\n: a comment\r\nevent: x\nid: 1\ndata: [DONE]\n\n"
    yield b'\4x: y\n{"error": {"message": "no", "code": "content_filter"}}'
    yield b"\3location: http://[::1\n"


LLAMA_FACTORY = b"""model_name_or_path: a/b
stage: sft
finetuning_type: lora
lora_rank: 8
dataset: alpaca_en_demo
template: llama3
cutoff_len: 2048
learning_rate: 1.0e-4
num_train_epochs: 3.0
val_size: 0.1
bf16: true
"""
Target = Callable[[bytes], None]
TARGETS: dict[str, tuple[Target, Callable[[], Iterator[bytes]]]] = {
    "readers": (readers, _sources), "yaml": (yaml, _recipes), "importers": (importers, _configs), "protocol": (protocol, _requests),
    "replies": (replies, _answers), "streams": (streams, _streams),
}  # fmt: skip


def main() -> None:
    """Start from the examples of the target, unless a corpus is given."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(__doc__)
    target, examples = TARGETS[sys.argv.pop(1)]
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        corpus = Path(tempfile.mkdtemp())
        for number, example in enumerate(examples()):
            (corpus / str(number)).write_bytes(example)
        sys.argv.insert(1, str(corpus))
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
