"""Finished runs written by hand, of a chat and of a classification, in which every text from outside can be hostile."""

from itertools import cycle
from pathlib import Path

from recipekit.runner.evaluation.minimal_pairs import minimal_pair_scores
from recipekit.runner.evaluation.sentiment import sentiment_scores
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.runtime.run_files import LOCK, MANIFEST, METRICS, PEAK_MEMORY, STATUS, TOKENS
from recipekit.runner.runtime.run_folder import RunFolder

from .jsonl import write_jsonl
from .run_files import lock_with, manifest_with, metrics_with

HOSTILE = [
    "<script>alert(1); window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "</pre></article></style><img src=x onerror='window.ran = 1; alert(1)'>",
    "<svg onload='window.ran = 1'><animate onbegin='window.ran = 1'></svg>",
    "<iframe src='https://example.org/'></iframe><link rel=stylesheet href='https://example.org/a.css'>",
    "javascript:window.ran=1",
    "<a href='javascript:window.ran=1'>x</a>",
    "{{ 7 * 7 }}{% raw %}",
    "\" autofocus onfocus='window.ran = 1' x=\"",
    "<!-- ]]> &lt;script&gt; \u202e \u0000 \ud83c".encode("utf-8", "replace").decode(),
    "<style>body { background: url(https://example.org/b.png) }</style>",
    "<base href='https://example.org/'><meta http-equiv=refresh content='0;url=https://example.org/'>",
]

PROBES = {
    "lens": {
        model: [{"prompt": "Once <b>", "tokens": ["On", "ce"], "layers": [[{"token": "<i>", "p": 0.1}, {"token": "a", "p": 0.9}]] * 3}]
        for model in ("base", "tuned")
    },
    "sentiment": {
        "classifier": "some/model", "rows_without_emotion": 2, "prompts": None,
        **sentiment_scores(*[[("joy", "love")] * 3 + [("joy", "anger"), ("joy", None)]] * 2, confidence=0.95),
    },
    "blimp": {"source": "pairs", **minimal_pair_scores({"binding": [True, False] * 100}, {"binding": [True] * 150 + [False] * 50}, 0.95)},
    "prompts": {
        "system": "Be <b>.", "generation": {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 64, "seed": 7, "batch_size": 8},
        "base": [{"prompt": "Say <i>", "reply": "<script>window.ran = 1</script>", "finish_reason": "length", "reply_tokens": 64},
                 {"prompt": "Long", "error": "the prompt has 600 tokens"}],
        "tuned": [{"prompt": "Say <i>", "reply": "Fine 🙂.", "finish_reason": "stop", "reply_tokens": 3},
                  {"prompt": "Long", "error": "the prompt has 600 tokens"}],
    },
    "diversity": {"prompts": {"texts": 900, "sampled": 900, "distinct": 829, "mean_words": 9.0, "distinct_1": 0.1, "distinct_2": 0.5, "nearest": 0.25, "compared": 400}},
}  # fmt: skip


def estimate(value, **more):
    return {"value": value, "low": value - 1, "high": value + 1, **more}


def write_chat_run(folder: Path, texts: list[str]) -> RunFolder:
    """A finished run in which every text that comes from outside is one of `texts`, in turn."""
    given = cycle(texts)
    run = RunFolder(folder / "runs" / "tiny" / "20250101-000000-abcdef")
    run.write(STATUS, {"recipe": next(given), "state": "done", "reason": next(given), "stages": {}})
    lock = lock_with(
        recipekit=next(given),
        packages={next(given): next(given)},
        model={"path": "", "identity": "", "note": next(given)},
        machine=Machine(gpu_name=next(given), cores=2)._asdict(),
    )
    run.write(LOCK, lock)
    manifest = manifest_with(
        rows_in=1200, rows_kept=1100, dropped={next(given): 100}, fixed={next(given): 3}, splits={"train": 1000, "validation": 100}
    )
    run.write(MANIFEST, manifest)
    facts = {
        "rows": 1000,
        "trained_rows": 1000,
        "trained": 12345,
        "masked": 54321,
        "longest": 99,
        "untrained_rows": [],
        "rows_without_eos": [],
    }
    run.write(TOKENS, {"train": facts})
    metrics = {
        **metrics_with(), "rows": 20, "base_model": next(given),
        "metrics": {"perplexity": {"unit": "", "higher_is_better": False}, "token_reduction": {"unit": "%", "higher_is_better": True}},
        "models": {"base": {"perplexity": estimate(9.0), "token_reduction": estimate(1.0)},
                   "tuned": {"perplexity": estimate(4.0), "token_reduction": estimate(30.0)},
                   "reference": {"token_reduction": estimate(32.0)}},
        "differences": {"perplexity": estimate(-5.0, p_value=0.001, significant=True), "token_reduction": estimate(29.0, p_value=0.001, significant=True)},
        "gates": {"perplexity": {"value": 4.0, "min": None, "max": 5, "max_regression": None, "regression": None, "passed": True, "decided": True}},
    }  # fmt: skip
    run.write(METRICS, metrics)
    lines = [{"step": n, "loss": 3 - n / 50, "learning_rate": 1e-4, "tokens_per_s": 300.0} for n in range(1, 60)]
    write_jsonl(run / "metrics.jsonl", [*lines, {"step": 30, "eval_loss": 2.5}])
    (run / "recipe.yml").write_text(f"name: {next(given)}\n", encoding="utf-8")
    rows, predictions = [], []
    for number in range(15):
        row = f"{number} {next(given)}"
        rows.append({"id": row, "messages": [{"role": "user", "content": next(given)}, {"role": "assistant", "content": next(given)}]})
        predictions += [{"model": model, "id": row, "reference": next(given), "reply": next(given), "stopped": model == "tuned",
                         "reply_tokens": 3, "nll": number if model == "base" else 5.0, "target_tokens": 10, "correct": 3}
                        for model in ("base", "tuned")]  # fmt: skip
    masks = [{"id": next(given), "label": None, "segments": [{"trained": bool(n % 2), "text": next(given)} for n in range(4)]}] * 3
    write_jsonl(run / "eval" / "masks.jsonl", masks)
    run.write(PEAK_MEMORY, {"device": next(given), "peak": 3 << 29, "predicted": None})
    for name, values in (("rows", rows), ("predictions", predictions)):
        write_jsonl(run / "eval" / f"{name}.jsonl", values)
    return run


LABELS = ["calm", "<script>alert(1)</script>"]


def classified_line(row: int, label: str, predicted: str, probability: float, model: str = "tuned") -> dict:
    other = next(name for name in LABELS if name != predicted)
    return {"model": model, "id": f"r{row}", "label": label, "predicted": predicted,
            "probabilities": {predicted: probability, other: 1 - probability}}  # fmt: skip


def classification_metrics(significant: bool, value: float = 0.2) -> dict:
    macro_f1 = {"value": 0.75, "low": 0.5, "high": 1.0}
    rows = [{"label": label, "precision": 1.0, "recall": 0.5, "f1": 0.667, "rows": 2, "predicted": 1} for label in LABELS]
    return {
        **metrics_with(), "rows": 4, "split": "test", "base_model": "a/b", "baseline": "tfidf", "notes": ["The base is not measured."],
        "metrics": {"macro_f1": {"unit": "", "higher_is_better": True}}, "gates": {}, "labels": LABELS,
        "models": {"tuned": {"macro_f1": macro_f1}, "tfidf": {"macro_f1": macro_f1 | {"value": 0.55}}, "majority": {"macro_f1": macro_f1 | {"value": 0.25}}},
        "differences": {"macro_f1": {"value": value, "low": 0.1, "high": 0.3, "p_value": 0.01, "significant": significant}},
        "by_label": {"tuned": rows, "tfidf": rows, "majority": rows}, "confusion": [[2, 0], [1, 1]],
        "calibration_error": {"tuned": 0.125, "tfidf": 0.3, "majority": 0.0},
    }  # fmt: skip


def write_classification_run(folder: Path) -> RunFolder:
    """A finished run of a classification whose labels and texts try to be markup."""
    run = RunFolder(folder)
    run.write(STATUS, {"recipe": "types", "state": "done", "stages": {}})
    run.write(LOCK, lock_with())
    run.write(MANIFEST, manifest_with(type="classification", rows_in=4, rows_kept=4, splits={"train": 4}, labels=LABELS))
    counts = {"rows": 4, "trained_rows": 4, "labels": dict.fromkeys(LABELS, 2), "tokens": 99, "longest": 30, "long_rows": {}}
    run.write(TOKENS, {"train": counts})
    run.write(METRICS, classification_metrics(significant=True))
    write_jsonl(
        folder / "eval" / "predictions.jsonl", [classified_line(1, LABELS[1], "calm", 0.875), classified_line(2, "calm", "calm", 0.9)]
    )
    write_jsonl(folder / "eval" / "rows.jsonl", [{"id": f"r{n}", "text": "<b>bold</b>", "label": "calm"} for n in (1, 2)])
    write_jsonl(folder / "metrics.jsonl", [{"step": n, "eval_macro_f1": n / 9, "eval_accuracy": n / 8} for n in (1, 2)])
    write_jsonl(
        folder / "eval" / "masks.jsonl", [{"id": "r1", "label": LABELS[1], "segments": [{"trained": False, "text": "<b>bold</b>"}]}]
    )
    (folder / "recipe.yml").write_text("name: types\n")
    return run
