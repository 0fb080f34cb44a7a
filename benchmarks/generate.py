"""What generating costs beyond waiting for the provider, and what batches give when the provider is our own server.

    vs_ideal        1,000 requests, 32 at once, to a server that takes 200 ms: time over the ideal 1000 / 32 x 0.2 s
    vs_sequential   the source's loop, one request after the other, over our time for as many requests
    peak_mb_100k    peak memory of a process that generates 100,000 rows; growth_10x is that over the peak for 10,000
    serve_batching  tokens/s of recipe serve with 16 requests at once over one at a time, the embedded model on this machine

Each side runs in a process of its own; the provider is another one on loopback. The last line is one JSON object.
"""

import argparse
import asyncio
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LATENCY = 0.2
CONCURRENCY = 32
JOB = """
import json, sys, time
from pathlib import Path
from recipekit.runner.runtime.console import Display
from recipekit.runner.generate.generate import generate_rows
from recipekit.schemas.generate_sections import Generate
from recipekit.schemas.values import built
folder, values = Path(sys.argv[1]), json.loads(sys.argv[2])
import recipekit.runner.providers.client, recipekit.runner.providers.dispatcher
started = time.perf_counter()
with Display() as display:
    manifest = generate_rows(built(Generate, values), folder / "out", folder / "requests.sqlite", folder, display, "benchmark")
assert manifest["rows_kept"] == int(sys.argv[3]), manifest
print(time.perf_counter() - started)
"""
SEQUENTIAL = """
import sys, time
import httpx2, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="none", http_client=httpx2.Client(trust_env=False))
ask = lambda n: client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"Emotions in text {n}?"}])
ask(0)
started = time.perf_counter()
for n in range(int(sys.argv[2])):
    ask(n)
print((time.perf_counter() - started) / int(sys.argv[2]))
"""


async def provide(listener: socket.socket) -> None:
    """A provider of chat completions that waits as long as the address says (/250/v1: 250 ms), then answers."""
    body = json.dumps({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "love | joy"}, "finish_reason": "stop"}],
    }).encode()  # fmt: skip
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(length)
                await asyncio.sleep(int(head.split(b"/", 2)[1]) / 1000)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serve, sock=listener, backlog=1024) as server:
        await server.serve_forever()


def generated(folder: Path, port: int, requests: int, milliseconds: int) -> tuple[float, float]:
    """(seconds, peak memory in MB) of a process that generates so many rows."""
    folder.mkdir()
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("name", "chinese"), *((f"s{n}", f"text {n}") for n in range(requests))])
    (folder / "prompt.yml").write_text("prompt: 1\nuser: 'Emotions in {text}?'\n", encoding="utf-8")
    provider = {"provider": "openai_compatible", "model": "m", "base_url": f"http://127.0.0.1:{port}/{milliseconds}/v1"}
    job = {"task": "ask", "prompt": str(folder / "prompt.yml"), "input": str(folder / "rows.csv"), "providers": [provider],
           "options": {"runs": 1}, "limits": {"concurrency": CONCURRENCY}}  # fmt: skip
    argv = [sys.executable, "-c", JOB, str(folder), json.dumps(job), str(requests)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout
    seconds = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"generating {requests} rows failed")
    return float(seconds), usage.ru_maxrss / 1024


def batching(quick: bool) -> dict[str, float]:
    """Tokens a second of our own server, one request at a time and sixteen at once."""
    import httpx2
    import openai
    from recipekit.runner.providers.local_server import served

    model, count = "embedded:smollm2-135m-instruct", 4 if quick else 8
    with served(model, Path()) as (base_url, _):
        client = openai.OpenAI(base_url=base_url, api_key="none", http_client=httpx2.Client(trust_env=False))

        def ask(number: int) -> int:
            messages = [
                {
                    "role": "user",
                    "content": f"Tell me a story about a {['cat', 'dog', 'boat', 'hill'][number % 4]} and the number {number}.",
                }
            ]
            reply = client.chat.completions.create(model=model, messages=messages, max_tokens=48, temperature=0.8, seed=number)  # pyright: ignore
            return reply.usage.completion_tokens if reply.usage else 0

        ask(0)
        started = time.perf_counter()
        alone = sum(map(ask, range(count))) / (time.perf_counter() - started)
        with ThreadPoolExecutor(16) as pool:
            started = time.perf_counter()
            together = sum(pool.map(ask, range(16))) / (time.perf_counter() - started)
    return {"alone": alone, "together": together}


def main() -> None:
    """Measure, print a table, and the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests: coarse, within a minute")
    options = parser.parse_args()
    requests, many = (200, 4_000) if options.quick else (1_000, 100_000)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = listener.getsockname()[1]
    provider = os.fork()
    if not provider:
        asyncio.run(provide(listener))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            seconds, _ = generated(Path(scratch, "ideal"), port, requests, int(LATENCY * 1000))
            argv = [sys.executable, "-c", SEQUENTIAL, f"http://127.0.0.1:{port}/{int(LATENCY * 1000)}/v1", "10" if options.quick else "50"]
            each = float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
            few_seconds, few_mb = generated(Path(scratch, "few"), port, many // 10, 0)
            many_seconds, many_mb = generated(Path(scratch, "many"), port, many, 0)
    finally:
        os.kill(provider, 9)
        os.waitpid(provider, 0)
    speed = batching(options.quick)
    result = {
        "vs_ideal": round(seconds / (requests / CONCURRENCY * LATENCY), 3),
        "vs_sequential": round(each * requests / seconds, 1),
        "peak_mb_100k": round(many_mb, 1),
        "growth_10x": round(many_mb / few_mb, 3),
        "serve_batching": round(speed["together"] / speed["alone"], 2),
        "requests": {"latency": requests, "memory": many},
        "requests_per_s_without_latency": round(many / many_seconds),
        "tokens_per_s": {name: round(value, 1) for name, value in speed.items()},
    }
    each_way = f"{seconds:.2f} s with {CONCURRENCY} at once, {each * requests:.1f} s one after the other"
    print(f"{requests} requests of {LATENCY * 1000:.0f} ms: {each_way}")
    print(f"peak memory: {few_mb:.0f} MB after {few_seconds:.1f} s for {many // 10:,} requests")
    print(f"             {many_mb:.0f} MB after {many_seconds:.1f} s for {many:,}")
    print(f"recipe serve: {speed['alone']:.1f} tokens/s one at a time, {speed['together']:.1f} with 16 at once")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
