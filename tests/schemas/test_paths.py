"""Paths in a recipe: relative to the file that names them, in the home folder, or in a declared variable's folder."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import MAX_PROBLEMS, UserError
from recipekit.schemas.extends import load_layers
from recipekit.schemas.paths import absolute_paths, expand_variables
from recipekit.schemas.recipe import check_recipe, load_recipe, load_sweep
from recipekit.schemas.yaml_source import Document
from recipekit.schemas.yaml_writing import to_yaml

RECIPE = """\
recipe: 1
name: r
{variables}
model: {{base_model: "{model}"}}
data:
  type: chat
  sources: [{{path: "{path}", converter: messages}}]
training: {{adapter: lora, learning_rate: 1e-4}}
{more}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/lab/data")
    monkeypatch.delenv("NOT_THERE", raising=False)
    monkeypatch.setenv("HOME", "/home/me")

    def write(path, variables="variables: [DATA_DIR]", model="owner/name", more=""):
        file = tmp_path / "r.yml"
        file.write_text(RECIPE.format(path=path, variables=variables, model=model, more=more))
        return file

    return write


def source(file, *settings):
    return load_recipe(str(file), settings).recipe.data.sources[0].path


def faults(file):
    return [(problem.location.line, problem.what) for problem in check_recipe(file)]


def test_a_declared_variable_is_expanded_and_recorded(recipe, tmp_path):
    loaded = load_recipe(str(recipe("${DATA_DIR}/../a.jsonl")))
    assert loaded.recipe.data.sources[0].path == "/lab/a.jsonl"
    assert loaded.recipe.variables == {"DATA_DIR": "/lab/data"} == loaded.document.data["variables"]
    kept = tmp_path / "run.yml"
    kept.write_text(to_yaml(loaded.document.data))
    os.environ["DATA_DIR"] = "/elsewhere"
    assert load_recipe(str(kept)).recipe == loaded.recipe, "a run's own recipe has the values in it"


def test_a_variable_may_be_within_a_relative_path(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "en")
    assert source(recipe("data/${DATA_DIR}.jsonl")) == str(tmp_path / "data" / "en.jsonl")
    assert faults(recipe("${DATA_DIR}/a"))[0][1] == "${DATA_DIR} is 'en', which is not an absolute path".replace("}", "}/a", 1).replace(
        "'en'", "'en/a'"
    )


def test_the_home_folder_is_expanded_wherever_a_path_is(recipe):
    file = recipe("~/a.jsonl", "", model="~/models/m")
    assert source(file) == "/home/me/a.jsonl"
    assert load_recipe(str(file)).recipe.model.base_model == "/home/me/models/m"
    assert source(file, "data.sources.0.path=~/b.jsonl") == "/home/me/b.jsonl"


def test_a_model_may_be_in_a_variables_folder(recipe):
    file = recipe("a.jsonl", model="${DATA_DIR}/m")
    assert load_recipe(str(file)).recipe.model.base_model == "/lab/data/m"


def test_the_classifier_of_an_evaluation_may_be_a_relative_folder(recipe, tmp_path):
    (tmp_path / "classifiers" / "emotions" / "merged").mkdir(parents=True)
    for name in ("classifiers/emotions/merged", "./elsewhere"):
        found = load_recipe(str(recipe("a.jsonl", f"evaluation: {{sentiment_model: {name}}}"))).recipe.evaluation.sentiment_model
        assert found == str(tmp_path / name)
    assert load_recipe("alpaca_gpt2").recipe.evaluation.sentiment_model == "SamLowe/roberta-base-go_emotions"


PROVIDERS = """
generate:
  task: rewrite
  input: rows.jsonl
  prompt: mine.yml
  providers: [{{provider: local, model: {model}}}, {{provider: openai, model: {model}}}]
  judge: {{prompt: judge.yml, provider: {{provider: local, model: {model}}}}}
evaluation:
  judge: {{prompt: judge.yml, provider: {{provider: local, model: {model}}}}}
  rubric: {{criteria: {{tone: {{text: "Is it warm?"}}}}, judges: [{{provider: local, model: {model}}}, {{provider: zhipu, model: {model}}}]}}
"""


def asked(file, *settings):
    """Return (provider, model) of everything that is asked, as the recipe is loaded."""
    data = load_layers(file, settings).data
    generate, evaluation = data["generate"], data["evaluation"]
    found = [*generate["providers"], generate["judge"]["provider"], evaluation["judge"]["provider"], *evaluation["rubric"]["judges"]]
    return [(provider["provider"], provider["model"]) for provider in found]


def test_a_local_model_that_is_asked_may_be_a_relative_folder(recipe, tmp_path):
    (tmp_path / "models" / "merged").mkdir(parents=True)
    for name in ("models/merged", "./elsewhere"):
        local = ("local", str(tmp_path / name))
        assert asked(recipe("a.jsonl", "", more=PROVIDERS.format(model=name))) == [
            local, ("openai", name), local, local, local, ("zhipu", name),
        ]  # fmt: skip
    assert {model for _, model in asked(recipe("a.jsonl", "", more=PROVIDERS.format(model="owner/name")))} == {"owner/name"}


def test_a_local_model_given_by_set_is_relative_to_the_working_directory(recipe, tmp_path, monkeypatch):
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    file = recipe("a.jsonl", "", more=PROVIDERS.format(model="owner/name"))
    found = asked(file, "generate.providers.0.model=mine", "generate.judge.provider.model=${HERE}/mine", "variables={HERE: /m}")
    assert (found[0][1], found[2][1]) == (str(tmp_path / "here" / "mine"), "/m/mine")


def test_values_may_be_in_the_recipe(recipe):
    assert source(recipe("${HERE}/a.jsonl", "variables: {HERE: /here}")) == "/here/a.jsonl"
    assert source(recipe("${DATA_DIR}/a.jsonl"), "variables={DATA_DIR: /set}") == "/set/a.jsonl"


def test_matrix_and_smoke_paths_are_expanded(recipe):
    file = recipe("a.jsonl", more='matrix: {data.sources.0.path: ["${DATA_DIR}/b", c]}')
    first, second = (loaded.recipe.data.sources[0].path for loaded, _ in load_sweep(str(file)))
    assert first == "/lab/data/b" and second.endswith("/c")
    entries = 'matrix: {one: [{model.base_model: "${DATA_DIR}/m", training.lora_r: 8}], evaluation.sentiment_model: ["${DATA_DIR}/s"]}'
    ((made, _),) = load_sweep(str(recipe("a.jsonl", more=entries)))
    assert (made.recipe.model.base_model, made.recipe.evaluation.sentiment_model) == ("/lab/data/m", "/lab/data/s")
    whole = 'matrix: {data.sources: [[{path: "${DATA_DIR}/w", converter: messages}]]}'
    assert [made.recipe.data.sources[0].path for made, _ in load_sweep(str(recipe("a.jsonl", more=whole)))] == ["/lab/data/w"]
    smoke = 'smoke: {data: {sources: [{path: "${DATA_DIR}/s", converter: messages}]}}'
    assert load_recipe(str(recipe("a.jsonl", more=smoke)), smoke=True).recipe.data.sources[0].path == "/lab/data/s"


def test_an_undeclared_variable_is_refused_with_its_place(recipe):
    assert faults(recipe("${HOME}/a.jsonl", "")) == [(7, "${HOME} is not a declared variable")]
    assert faults(recipe("${}/a.jsonl", "")) == [(7, "${} is not a declared variable")]


def test_a_variable_that_no_path_uses_is_refused(recipe):
    assert faults(recipe("a.jsonl")) == [(3, "no path uses ${DATA_DIR}")]
    many = faults(recipe("a.jsonl", f"variables: [{', '.join(f'V{n}' for n in range(MAX_PROBLEMS + 9))}]"))
    assert many == [(3, f"no path uses ${{V{n}}}") for n in range(MAX_PROBLEMS)]  # 45,000 were listed


@pytest.mark.parametrize("name", ["HF_TOKEN", "OPENAI_API_KEY", "DB_PASSWORD", "MY_SECRET"])
def test_a_variable_that_is_named_like_a_secret_is_refused_and_not_read(recipe, monkeypatch, name):
    monkeypatch.setenv(name, "/home/somebody/not-for-your-eyes")
    for declaration in (f"variables: [{name}]", f"variables: {{{name}: /x}}"):
        (fault,) = check_recipe(recipe(f"${{{name}}}/a.jsonl", declaration))
        assert "is named like a secret" in fault.what and "not-for-your-eyes" not in str(fault)


def test_an_unset_variable_stops_a_run_and_not_a_check(recipe):
    file = recipe("${NOT_THERE}/a.jsonl", "variables: [NOT_THERE]")
    assert faults(file) == []
    with pytest.raises(UserError, match=r"r.yml:7:20: the environment variable NOT_THERE is not set\n    hint: export NOT_THERE="):
        load_recipe(str(file))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner)
    )
)
def test_invalid_variables_are_left_to_the_schema(declared):
    document = Document({"variables": declared, "data": {"sources": [{"path": "${A}/x"}, 3, {"path": 4}]}, "matrix": declared}, {}, {})
    try:
        expand_variables(document)
    except UserError as error:
        assert {problem.rule for problem in error.problems} == {"variables"}


def test_paths_elsewhere_are_left_alone(recipe):
    file = recipe("a.jsonl", "description: costs ${DATA_DIR} ~/x")
    assert load_layers(file).data["description"] == "costs ${DATA_DIR} ~/x"


def test_each_of_several_prompts_is_a_path_or_a_shipped_name(tmp_path):
    document = Document({"generate": {"prompt": ["mine.yml", "emollm_multi_turn"]}}, {}, {})
    assert absolute_paths(document, tmp_path).data["generate"]["prompt"] == [str(tmp_path / "mine.yml"), "emollm_multi_turn"]
