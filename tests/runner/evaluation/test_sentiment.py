"""Sentiment of replies by the emotion of their prompts: by hand, and as the source's committed counts and report have it."""

import json

import pytest
from recipekit.runner.evaluation.sentiment import GROUP_OF, GROUPS, emotion_prompts, sentiment_scores
from recipekit.schemas.base.errors import UserError


def test_the_28_emotions_are_in_one_group_each():
    assert {group: len(emotions) for group, emotions in GROUPS.items()} == {"positive": 14, "neutral": 2, "negative": 12}
    assert len(GROUP_OF) == 28
    assert (GROUP_OF["curiosity"], GROUP_OF["realization"], GROUP_OF["confusion"], GROUP_OF["surprise"]) == (
        "positive", "positive", "negative", "neutral",
    )  # fmt: skip


def shares(pairs):
    """The percentages of each group of prompts, of a model compared with itself."""
    groups = sentiment_scores(pairs, pairs, 0.95)["groups"]
    return {group: [table["models"]["tuned"][kind]["value"] for kind in GROUPS] for group, table in groups.items()}


def test_shares_by_hand():
    pairs = [("joy", "love"), ("joy", "neutral"), ("love", "anger"), ("love", "joy"), ("fear", "surprise")]
    found = sentiment_scores(pairs, [*pairs[:4], ("fear", None)], 0.95)
    counts = {"joy": {"love": 1, "neutral": 1}, "love": {"anger": 1, "joy": 1}, "fear": {"surprise": 1}}
    assert found["models"]["base"] == {"counts": counts, "without_reply": 0}
    assert found["models"]["tuned"]["without_reply"] == 1 and "fear" not in found["models"]["tuned"]["counts"]
    assert {group: table["rows"] for group, table in found["groups"].items()} == {"positive": 4}, "only what both have answered"
    assert shares(pairs) == {"positive": [50, 25, 25], "negative": [0, 100, 0]}


def test_replies_are_compared_prompt_by_prompt():
    base, tuned = [("grief", "grief")] * 30, [("grief", "caring")] * 12 + [("grief", "grief")] * 18
    table = sentiment_scores(base, tuned, 0.95)["groups"]["negative"]
    change = table["differences"]["positive"]
    assert (change["value"], change["significant"]) == (40, True) and 0 < change["low"] < 40 < change["high"]
    assert table["models"]["base"]["positive"] == {"value": 0, "low": 0, "high": pytest.approx(11.5703, abs=1e-3)}, (
        "exact (Clopper-Pearson)"
    )
    assert not sentiment_scores(base, base, 0.95)["groups"]["negative"]["differences"]["positive"]["significant"]


def test_prompts_weigh_the_same_and_not_emotions():
    assert shares([("joy", "joy")] * 30 + [("grief", "grief")] * 20 + [("pride", "neutral")] * 10)["positive"] == [75, 25, 0]


def test_an_unknown_emotion_is_reported():
    with pytest.raises(KeyError, match="glee"):
        shares([("joy", "glee")])


def test_no_rows_have_no_groups():
    assert shares([]) == {}


def test_the_committed_percentages_come_from_the_committed_counts(realdata):
    folder = realdata / "babylm_alpaca" / "quantitative_analysis"
    counts = json.loads((folder / "sentiment_analysis_results.json").read_text())
    detailed = json.loads((folder / "sentiment_analysis_detailed_results.json").read_text())
    compared = 0
    for emotion, models in detailed.items():
        for model, facts in models.items():
            assert facts["counts"] == counts[emotion][model]
            total = sum(facts["counts"].values())
            assert {name: 100 * count / total for name, count in facts["counts"].items()} == pytest.approx(facts["percentages"], abs=0.01)
            compared += 1
    assert compared == 14


# Table 17 of the report: for each group of prompts (positive, neutral, negative), the shares of positive, neutral and negative replies
TABLE_17 = {
    "gpt2-medium": {"positive": (41.05, 52.27, 6.68), "neutral": (35.00, 60.00, 5.00), "negative": (28.57, 59.14, 12.29)},
    "gpt2-medium-babylm-instruction": {"positive": (94.75, 4.53, 0.72), "neutral": (86.67, 11.67, 1.67), "negative": (78.86, 7.71, 13.43)},
}  # fmt: skip


@pytest.mark.parametrize("model", TABLE_17)
def test_the_sentiment_table_groups_whole_replies(realdata, model):
    """Each of its percentages is a whole number of the prompts that our grouping gives, to within its own rounding."""
    prompts = json.loads((realdata / "babylm_alpaca/quantitative_analysis/emotion_prompts.json").read_text())
    sizes = {group: sum(len(prompts[emotion]) for emotion in emotions) for group, emotions in GROUPS.items()}
    assert (sizes, sum(sizes.values())) == ({"positive": 419, "neutral": 60, "negative": 350}, 829)
    for group, of_report in TABLE_17[model].items():
        replies = [round(share * sizes[group] / 100) for share in of_report]
        assert sum(replies) == sizes[group]
        pairs = [(GROUPS[group][0], GROUPS[kind][0]) for kind, count in zip(GROUPS, replies, strict=True) for _ in range(count)]
        assert shares(pairs)[group] == pytest.approx(of_report, abs=0.01)


def test_prompts_by_emotion_are_read_in_order(tmp_path):
    (tmp_path / "prompts.json").write_text('{"joy": ["Sing.", "Dance."], "fear": ["Hide."]}')
    assert emotion_prompts(tmp_path / "prompts.json") == [("joy", "Sing."), ("joy", "Dance."), ("fear", "Hide.")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[", "cannot be read"),
        ("[]", "holds no prompts by emotion"),
        ('{"glee": ["Sing."]}', "'glee' is not one of the 28 emotions"),
        ('{"joy": "Sing."}', "joy is not a list of prompts"),
        ('{"joy": ["Sing.", " "]}', "joy is not a list of prompts"),
    ],
)
def test_a_file_that_holds_no_prompts_by_emotion_is_refused(tmp_path, text, what):
    (tmp_path / "prompts.json").write_text(text)
    with pytest.raises(UserError, match=what) as refused:
        emotion_prompts(tmp_path / "prompts.json")
    assert refused.value.problems[0].location.file == str(tmp_path / "prompts.json")
