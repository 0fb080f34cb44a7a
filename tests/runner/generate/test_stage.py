"""Generated rows as a source of `data`: made once, named, kept with the run, and made again when anything that they are made of changes."""

import pytest
from recipekit.runner.generate.generate import usage_lines
from recipekit.runner.generate.stage import generated_facts, generated_files, with_generated_rows
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import generate as stage
from recipekit.runner.stages.context import RunContext
from recipekit.runner.stages.stage import complete
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.hashing import key_of
from recipekit.schemas.recipe import load_recipe

from ...support.llm_server import reply, serving

RECIPE = """recipe: 1
name: asked
model: {{base_model: some/model}}
generate:
  task: ask
  prompt: prompt.yml
  input: subtitles.csv
  options: {{runs: 2}}
  providers: [{{provider: openai_compatible, model: m, base_url: "{url}"}}]
data:
  type: chat
  sources: [{{path: generated:rows, converter: introspection}}]
training: {{adapter: lora, learning_rate: 1e-4}}
smoke:
  generate: {{options: {{runs: 1}}}}
"""


@pytest.fixture
def recipe(tmp_path, questions):
    questions(2)
    (tmp_path / "prompt.yml").write_text("prompt: 1\nuser: 'Emotions in {text}?'\n", encoding="utf-8")

    def load(url="https://models.example.org/v1", settings=(), smoke=False):
        (tmp_path / "asked.yml").write_text(RECIPE.format(url=url), encoding="utf-8")
        return load_recipe(str(tmp_path / "asked.yml"), settings, smoke)

    return load


@pytest.fixture
def generated(recipe, tmp_path, quiet):
    """Completes the generate stage in the run of this name; returns the context."""

    def complete_in(name, url, *settings):
        run = RunFolder(tmp_path / "runs" / "asked" / name)
        run.path.mkdir(parents=True, exist_ok=True)
        run.update(state="running", stages=run.stages)
        context = RunContext(recipe(url, settings), tmp_path / "runs", quiet, run)
        complete([stage], context)
        return context

    return complete_in


def test_rows_are_made_once_and_become_an_ordinary_source(generated, quiet) -> None:
    with serving(reply("love | joy")) as server:
        first = generated("one", server.url)
        (source,) = first.data.sources
        assert source.path == str(first.run / "generated" / "rows.jsonl")
        assert len(server.asked) == 4
        second = generated("two", server.url)
        assert "unchanged" in quiet.lines[-1][1] and second.keys == first.keys
        assert (second.run / "generated" / "rows.jsonl").samefile(first.run / "generated" / "rows.jsonl")
        generated("three", server.url, "generate.options.runs=3")
        assert len(server.asked) == 6, "only what is new is asked"


def test_a_run_keeps_its_rows_and_asks_for_nothing_again(generated, tmp_path) -> None:
    with serving(reply("love | joy")) as server:
        rows = generated("one", server.url).run / "generated" / "rows.jsonl"
        kept = rows.read_bytes()
        generated("two", server.url, "generate.options.runs=3")
        assert (tmp_path / "runs/asked/generated/rows.jsonl").read_bytes() != kept
        asked = len(server.asked)
        again = generated("one", server.url)
        assert again.outcomes == {"generate": "done before"} and again.data.sources[0].path == str(rows)
        assert rows.read_bytes() == kept and len(server.asked) == asked


def test_rows_that_were_damaged_are_given_to_the_run_again(generated) -> None:
    with serving(reply("love | joy")) as server:
        rows = generated("one", server.url).run / "generated" / "rows.jsonl"
        kept = rows.read_bytes()
        rows.unlink()  # it is a link
        rows.write_bytes(kept[:-9])
        assert generated("one", server.url).outcomes == {"generate": "done"}
        assert rows.read_bytes() == kept


def test_rows_that_were_edited_in_the_recipes_folder_are_named_and_not_used(generated, recipe, tmp_path, quiet) -> None:
    with serving(reply("love | joy")) as server:
        rows = generated("one", server.url).run / "generated" / "rows.jsonl"
        kept, asked = rows.read_bytes(), len(server.asked)
        rows.write_bytes(kept.replace(b"joy", b"woe"))  # the run's file and that of the recipe's folder are one
        with pytest.raises(UserError, match="rows.jsonl is damaged.*\n    hint: recipe generate .*asked.yml writes them again"):
            with_generated_rows(recipe(server.url), tmp_path / "runs")
        for name in ("one", "two"):
            assert (generated(name, server.url).run / "generated" / "rows.jsonl").read_bytes() == kept
        assert len(server.asked) == asked
    assert f"{tmp_path / 'runs/asked/generated/rows.jsonl'} is damaged" in " ".join(str(line) for line in quiet.lines)


def test_rows_that_are_not_there_yet_are_asked_for_by_name(recipe, tmp_path) -> None:
    with pytest.raises(UserError, match="have not been generated yet\n    hint: run recipe generate"):
        with_generated_rows(recipe(), tmp_path)


def test_a_smoke_run_has_rows_and_a_log_of_its_own(recipe, tmp_path) -> None:
    assert set(generated_files(recipe(), tmp_path)) & set(generated_files(recipe(smoke=True), tmp_path)) == set()


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("generate.seed=1", True), ("generate.options.runs=9", True), ("generate.sampling.top_p=0.5", True), ("generate.filters.min_words=2", True),
        ("generate.max_dropped=0.5", True), ("generate.limits.attempts=7", True), ("generate.limits.concurrency=1", False),
        ("generate.limits.retries=0", False), ("generate.limits.max_tokens=99", False), ("training.seed=1", False),
    ],
)  # fmt: skip
def test_the_key_holds_what_changes_the_rows(recipe, tmp_path, setting: str, changes: bool) -> None:
    before, after = (key_of(generated_facts(recipe(settings=s).recipe.generate, tmp_path)) for s in ((), (setting,)))
    assert (before != after) == changes


def test_the_prompt_and_the_input_are_in_the_key_by_their_content(recipe, tmp_path, questions) -> None:
    keys = [key_of(generated_facts(recipe().recipe.generate, tmp_path))]
    (tmp_path / "prompt.yml").write_text("prompt: 1\nuser: 'Feelings in {text}?'\n", encoding="utf-8")
    keys.append(key_of(generated_facts(recipe().recipe.generate, tmp_path)))
    questions(3)
    keys.append(key_of(generated_facts(recipe().recipe.generate, tmp_path)))
    assert len(set(keys)) == 3


def test_the_token_counts_are_printed() -> None:
    used = {
        "kept": 3,
        "requests": 4,
        "asked_again": 1,
        "retried": 2,
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "unmetered": 1,
        "cost": {"CNY": 0.5},
    }
    manifest = {"rows_in": 5, "requests": 4, "rows_kept": 4, "rows": 9, "dropped": {"not_novel": 1}, "fixed": {"spoke_twice": 2},
                "redacted_replies": 2,
                "providers": {"zhipu/glm": used}, "judge": {"model": "openai/j", "passed": 3, "judged": 4, "redacted": 0},
                "composition": {"model": {"zhipu/glm": 9}, "turns": {"1": 6, "3": 3}}}  # fmt: skip
    assert usage_lines(manifest) == [
        ("generate", "5 in (4 requests), 4 kept as 9 rows; dropped: 1 not novel; fixed: 2 spoke twice"),
        (
            "",
            "zhipu/glm: 3 kept of 4, 1 asked again, 2 retries, 1,000 prompt and 50 reply tokens, 0.5000 CNY; 1 reply without token counts, for which the maximum is assumed",
        ),
        ("", "2 replies contain what looks like a secret; it was replaced with [redacted]"),
        ("", "judge openai/j: 3 of 4 pass"),
        ("", "rows by turns: 1: 6, 3: 3"),
    ]
