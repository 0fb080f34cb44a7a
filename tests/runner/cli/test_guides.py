"""The guides of the five systems, followed with the commands of docs/systems.md that need no trained model.

`follow` runs a command as its table writes it, with files in place of FILE, DIR and RECIPE, so that a command which the document does not
name fails here. Commands on a trained model, and `doctor`, have tests of their own: ELSEWHERE names them.
"""

import csv
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from recipekit.converters.building.unanswered import Reading, read_unanswered
from recipekit.runner.cli.commands.convert import converter_options
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Source

from ...support.paths import ROOT

TEXT = (ROOT / "docs" / "systems.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
DATA = ROOT / "recipes" / "data"
SMALL_MODEL = [word for key in ("base_model=embedded:smollm2-135m-instruct", "end_of_turn=null", "pad_token=null")
               for word in ("--set", f"model.{key}")]  # fmt: skip
ELSEWHERE = {
    "benchmarks": "cli/commands/test_benchmarks.py",
    "chat": "inference/test_web_page.py",
    "compare": "cli/commands/test_compare.py",
    "doctor": "cli/commands/test_doctor.py",
    "eval": "workflows/test_run_again.py",
    "export": "cli/commands/test_export.py",
    "mask": "workflows/test_mask.py",
    "merge": "cli/commands/test_merge.py",
    "predict": "workflows/test_predict.py",
    "push": "cli/commands/test_push.py",
    "review": "reporting/test_review.py",
    "run": "workflows/test_smoke.py",
    "serve": "inference/test_classify_server.py",
}
# What a guide names, in its own words: files, scripts, options and steps. Each is in its system's table.
NAMED = {
    "Introspection": """create_introspection_dataset.py run_finetuning.py raw_dataset.json formatted_examples.txt dataset_statistics.txt
        confidence_examples.txt tokenized_samples.txt introspection_model/ merged_results""",
    "EmoLLM": """run_qwen.bash ernie_gen_data.py zhipuai_gen_data.py gen_data.py check.py merge_json.py config.yml areas_of_life
        emotions_list InternLM2-7B XTuner 10,000 requirements.txt""",
    "BabyLM and Alpaca": """process_pretrain_data.py pretrain_data_augment.ipynb babylm_augment/ pretrain_data_corpus.ipynb
        babylm_pretrain_corpus/ emotion-alpaca.py casual_lm.ipynb sft_instruction.ipynb prompt_analysis.ipynb prompt_analysis_babylm.ipynb
        quantitative_analysis.ipynb model_analysis.ipynb""",
    "EmoGPT": """convert_to_training_format.py train_emogpt.py test_emogpt.py evaluate_model.py Qwen2.5-1.5B Phi-3.5-mini Gemma Llama-3.2-1B
        Mistral-7B QLoRA W&B Colab Kaggle GGUF LMSYS tiktoken Unsloth""",
    "MBTI": """preprocess_data.py -num_tweets -save_dir finetuning.py --lora_r --train_all_linear_layers --num_train_epochs --learning_rate
        --dimension_id --wandb_project --save_name evaluation.py prediction_model_template.ipynb L4""",
}
Follow = Callable[..., str]


@pytest.fixture
def follow(command_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Runs a command of the document in an empty folder, with these words in place of its capitals, and returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, *more: str, **places: object) -> str:
        assert f"`{command}`" in TEXT
        words = [str(places.get(word, word)) for word in shlex.split(command)[1:]]
        done = command_line(*words, *more)
        assert done.code == 0, done.err
        return done.out + done.err

    return run


@pytest.mark.parametrize("system", sorted(NAMED))
def test_whatever_a_guide_names_is_in_the_table_of_its_system(system: str) -> None:
    assert [name for name in NAMED[system].split() if name not in SECTIONS[system]] == []


def test_every_command_of_the_tables_is_followed_here_or_elsewhere() -> None:
    followed = re.findall(r'follow\(\s*"recipe ([a-z-]+)', Path(__file__).read_text("utf-8"))
    assert {*re.findall(r"`recipe ([a-z-]+)", TEXT)} - {*followed, *ELSEWHERE} == set()
    texts = {verb: (ROOT / "tests" / "runner" / path).read_text("utf-8") for verb, path in ELSEWHERE.items()}
    missing = [verb for verb, text in texts.items() if f'"{verb}"' not in text]
    assert missing == []


def test_introspection_is_inspected_before_it_is_trained(follow: Follow) -> None:
    follow("recipe data inspect RECIPE", *SMALL_MODEL, RECIPE="introspection_llama3_full")
    folder = Path("inspection/introspection_llama3_full")
    first = (folder / "first_rows.txt").read_text("utf-8")
    assert len({*re.findall(r"^=== \d+: (.+)$", first, re.MULTILINE)}) == 20, "each with a place of its own: a source row has several"
    assert "If you will be asked this question: " in first and "<|im_start|>assistant" in first
    assert {path.stem for path in (folder / "samples").glob("*.jsonl")} == {"low", "medium", "high"}
    assert "SmolLM2" in (folder / "tokenised_samples.txt").read_text("utf-8").splitlines()[0]
    assert json.loads((folder / "inspection.json").read_text())["valid"] > 100


def test_introspection_asks_about_new_sentences(tmp_path: Path) -> None:
    """The option of the table, without a model: what each row of a CSV asks."""
    (option,) = re.findall(r"--converter table --option '([^']+)'", TEXT)
    (tmp_path / "new.csv").write_text("text,word\n把我给抓回去那我就完了,Fear\n", "utf-8")
    source = Source(str(tmp_path / "new.csv"), "table", converter_options("table", (option,)))
    (asked,) = read_unanswered(Reading(source, "chat"))
    question = "If you will be asked this question: 把我给抓回去那我就完了. What is your confidence level that you will answer Fear?"
    assert (asked.fault, asked.fields) == ("", {"messages": [{"role": "user", "content": question}]})
    assert asked.columns == {"text": "把我给抓回去那我就完了", "word": "Fear"}


def test_emollm_checks_and_merges_files_of_the_guides_format(follow: Follow) -> None:
    turns = [{"input": "请介绍一下你自己", "output": "我是大佬的emo小助手，可以帮助你解决心理上的问题哦"}]
    Path("files").mkdir()
    Path("files/self.json").write_text(json.dumps([{"conversation": turns}], ensure_ascii=False, indent=4), "utf-8")
    Path("files/more.json").write_text((DATA / "emollm_small.json").read_text("utf-8"), "utf-8")
    follow("recipe convert --converter emollm FILE --out DIR", FILE="files/self.json", DIR="one")
    one = [json.loads(line) for line in Path("one/train.jsonl").read_text("utf-8").splitlines()]
    assert [[m["content"] for m in row["messages"]] for row in one] == [[turns[0]["input"], turns[0]["output"]]]
    follow("recipe convert --converter emollm FOLDER --out DIR", FOLDER="files", DIR="all")
    assert "all valid" in follow("recipe data validate FILE", FILE="all/train.jsonl")
    assert len(Path("all/train.jsonl").read_text("utf-8").splitlines()) == 1 + len(json.loads(Path("files/more.json").read_text("utf-8")))


def test_emollm_counts_the_requests_of_its_scenarios_before_any_is_sent(follow: Follow) -> None:
    assert "25,920 requests" in follow("recipe generate emollm_generate --dry-run")


def test_emollm_is_generated_by_one_provider_that_also_judges(follow: Follow) -> None:
    """As each script of the guide: its account is the only one that is needed."""
    (command,) = re.findall(r"`(recipe generate emollm_generate --set [^`]+)`", SECTIONS["EmoLLM"])
    shown = follow(command, "--dry-run")
    assert "zhipu/glm-4-flash: 25,920 requests" in shown and "25,920 judgements by zhipu/glm-4-flash in addition" in shown
    assert "dashscope" not in shown


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("emollm_*.yml")), ids=lambda path: path.stem)
def test_emollm_answers_with_the_system_prompt_of_its_training(path: Path) -> None:
    """chat, predict and serve know that of the recipe, not one that a converter writes into the rows."""
    data = load_recipe(str(path)).recipe.data
    assert data.system_prompt
    assert [source.path for source in data.sources if source.options.get("system_prompt") or not source.options["replace_system"]] == []


def test_emollm_asks_for_further_wordings_of_who_it_is(command_line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task without its option is refused with the option that the table names."""
    monkeypatch.chdir(tmp_path)
    Path("self.json").write_text('[{"conversation": [{"input": "请介绍一下你自己", "output": "我是小助手"}]}]', "utf-8")
    generate = "task: self_cognition, prompt: self_cognition, input: self.json, providers: [{provider: zhipu, model: glm-4-flash}]"
    Path("who.yml").write_text(f"""recipe: 1
name: who
model: {{base_model: "embedded:smollm2-135m-instruct"}}
generate: {{{generate}}}
data: {{type: chat, sources: [{{path: "generated:rows", converter: emollm}}]}}
training: {{adapter: lora, learning_rate: 1e-4}}
""")
    assert "option `paraphrases`" in SECTIONS["EmoLLM"]
    option = "generate.options.paraphrases"
    refused = command_line("generate", "who.yml", "--dry-run")
    assert refused.code == 1 and option in refused.err
    assert command_line("generate", "who.yml", "--dry-run", "--set", f"{option}=3").out.startswith("1 request; 1 row without a request\n")


def test_emogpt_is_converted_and_split_by_conversation(follow: Follow) -> None:
    follow("recipe convert --converter emogpt FILE --validation 0.1 --group-by tree_id", "--out", "out", FILE=DATA / "emogpt_small.jsonl")
    train, validation = (Path("out", f"{name}.jsonl").read_text("utf-8").splitlines() for name in ("train", "validation"))
    trees = [{json.loads(line)["meta"]["tree_id"] for line in lines} for lines in (train, validation)]
    assert trees[0] and trees[1] and not trees[0] & trees[1]


LABEL = "recipe generate babylm_label --set generate.input='babylm_100M/*.train'"
AUGMENT = "recipe generate babylm_augment --set generate.input=runs/babylm_label/generated/rows.jsonl"
CORPUS = (
    "recipe convert babylm_corpus --out babylm_pretrain_corpus --set data.sources.0.path=runs/babylm_augment/generated/rows.jsonl "
    "--set 'data.sources.1.path=babylm_100M/*wiki*.train'"
)
ALPACA = "recipe generate alpaca_emotion --set generate.input=alpaca_data.json"


def babylm_files() -> None:
    """Write the files that the BabyLM table begins with."""
    Path("babylm_100M").mkdir()
    for name, small in (("open_subtitles", "babylm_small"), ("simple_wikipedia", "wiki_small")):
        Path(f"babylm_100M/{name}.train").write_text((DATA / f"{small}.txt").read_text("utf-8"), "utf-8")
    Path("alpaca_data.json").write_text((DATA / "alpaca_plain.json").read_text("utf-8"), "utf-8")


def test_babylm_sentences_become_stories_and_stories_a_corpus(follow: Follow) -> None:
    """Each step reads what the one before it writes; `rows.jsonl` is written by hand in place of the models."""
    babylm_files()
    assert follow(LABEL, "--dry-run").startswith("72 requests; dropped: 2 too short\n")
    labelled, stories = Path("runs/babylm_label/generated"), Path("runs/babylm_augment/generated")
    for folder, small in ((labelled, "babylm_sentences"), (stories, "babylm_stories")):
        folder.mkdir(parents=True)
        (folder / "rows.jsonl").write_text((DATA / f"{small}.jsonl").read_text("utf-8"), "utf-8")
    assert follow(AUGMENT, "--dry-run").startswith("16 requests\n")
    assert follow(ALPACA, "--dry-run").startswith("180 requests\n")
    shown = follow(CORPUS)
    sources = json.loads(Path("babylm_pretrain_corpus/manifest.json").read_text("utf-8"))["sources"]
    assert [source["max_words"] for source in sources] == [7_300_000, 2_700_000]
    for source, name in zip(sources, ("rows.jsonl", "simple_wikipedia.train"), strict=True):
        assert re.search(rf"{re.escape(name)}.*: {source['rows_kept']} rows, {source['words']} words", shown)
    facts = json.loads(follow("recipe data inspect", "babylm_pretrain_corpus", "--json", "--no-languages"))
    assert facts["valid"] == sum(source["rows_kept"] for source in sources)


@pytest.mark.long
def test_babylm_is_followed_with_real_models(follow: Follow) -> None:
    """A tiny classifier labels, and the embedded model writes the stories."""
    babylm_files()
    follow(LABEL, "--smoke")
    smoke = {path: path.replace("generated", "generated_smoke") for path in (AUGMENT.split()[-1], CORPUS.split()[6])}
    follow(AUGMENT, "--smoke", **smoke)
    rows = Path("runs/babylm_augment/generated_smoke/rows.jsonl").read_text("utf-8").splitlines()
    assert rows and {"text", "emotion", "augmented_text"} <= json.loads(rows[0]).keys()
    follow(CORPUS, **smoke)
    assert json.loads(Path("babylm_pretrain_corpus/manifest.json").read_text("utf-8"))["sources"][0]["rows_kept"]


def test_mbti_posts_are_limited_numbered_and_planned_for_one_l4(follow: Follow) -> None:
    with (DATA / "mbti_small.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with Path("kaggle.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["type", "posts"])
        writer.writerows(
            [row["type"], "|||".join(f"{n} {post} {n}" for post in row["posts"].split("|||") * 9)] for row in rows for n in range(8)
        )
    convert = "recipe convert --converter mbti FILE --option max_posts=25 --type classification --validation 0.09 --test 0.1 --out DIR"
    follow(convert, FILE="kaggle.csv", DIR="data/processed_data_25tweets")
    first = json.loads(Path("data/processed_data_25tweets/train.jsonl").read_text("utf-8").splitlines()[0])
    assert re.findall(r"^(\d+)\. ", first["text"], re.MULTILINE) == [str(n) for n in range(1, 26)]
    plan = follow("recipe plan mbti_llama2_16class --machine gpu:24 --set data.sources.0.path=kaggle.csv", "--json")
    memory = json.loads(plan)["needs"]["memory"]
    assert 0 < memory["needed"] < memory["available"] == 24 * 1024**3


def test_mbti_names_the_keys_that_the_made_up_rows_are_too_few_for(command_line) -> None:
    done = command_line("plan", "mbti_llama2_16class", "--machine", "gpu:24")
    refused = {*re.findall(r"training\.\w+", done.err)}
    assert (done.code, len(refused)) == (1, 3)
    assert {key for key in refused if f"`{key}`" not in SECTIONS["MBTI"]} == set()


def test_mbti_trains_on_the_folder_that_was_converted(follow: Follow, command_line) -> None:
    """The three files of DIR, as the guide's --data_dir, keep their splits and their texts."""
    convert = "recipe convert --converter mbti FILE --option max_posts=25 --type classification --validation 0.09 --test 0.1 --out DIR"
    follow(convert, FILE=DATA / "mbti_small.csv", DIR="first")
    (sources,) = re.findall(r'--set "(data\.sources=[^"]+)"', SECTIONS["MBTI"])
    done = command_line("convert", "mbti_llama2_16class", "--out", "second", "--set", sources.replace("DIR", "first"))
    assert done.code == 0, done.err
    for name in ("train", "validation", "test"):
        first, second = (Path(folder, f"{name}.jsonl").read_text("utf-8").splitlines() for folder in ("first", "second"))
        assert [json.loads(line)["text"] for line in first] == [json.loads(line)["text"] for line in second]
