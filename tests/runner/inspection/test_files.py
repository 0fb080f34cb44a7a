"""An inspection's folder: everything as JSON and CSV, samples to read, and a page that stands alone."""

import csv
import json
from html.parser import HTMLParser

import pytest
from recipekit.runner.inspection.files import write_inspection
from recipekit.runner.inspection.inputs import Inputs
from recipekit.runner.inspection.inspect import Options, inspect
from recipekit.runner.worker.tokenizers import tokenizer
from recipekit.schemas.base.errors import UserError

from ...support.records import EVIL, LONG, chat, inspected, labelled


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = [chat(n, ["low", "high"][n % 2], score=n, note=EVIL) for n in range(30)]
    rows += [chat(1, "high", note="x"), chat(1, "low"), chat(40, question=LONG + EVIL), chat(41, EVIL, question=LONG + EVIL + "!"), "{"]
    return inspected(tmp_path_factory.mktemp("inspection"), rows)[0]


def table(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_the_json_and_the_tables_say_the_same(folder):
    facts = json.loads((folder / "inspection.json").read_bytes())
    assert facts["valid"] == 34
    assert table(folder / "files.csv")[1][0::3] == ["train", "35"]
    assert dict(table(folder / "answers.csv")[1:]) == {name: str(count) for name, count in facts["chat"]["answers"].items()}
    lengths = {(of, part): rest for of, part, *rest in table(folder / "lengths.csv")}
    assert lengths["tokens", "row"][0] == "34"
    bins = [int(rows) for of, part, _, _, rows in table(folder / "histograms.csv")[1:] if (of, part) == ("tokens", "row")]
    assert sum(bins) == 34
    of_meta, fields = facts["meta"], {name: rest for name, *rest in table(folder / "meta.csv")[1:] if rest[0]}
    assert {name: int(rest[2]) for name, rest in fields.items() if rest[2]} == {
        name: field["most_common"]["different"] for name, field in of_meta.items() if "most_common" in field
    }
    header, *numbers = table(folder / "numbers.csv")
    assert {row[0]: dict(zip(header[1:], map(float, row[1:]), strict=True)) for row in numbers} == {
        name: {key: value for key, value in field["numbers"].items() if key != "histogram"}
        for name, field in of_meta.items() if "numbers" in field
    }  # fmt: skip


def test_pairs_are_shown_with_places_and_beginnings(folder):
    header, pair = table(folder / "repeats_equal.csv")
    assert header == ["file", "line", "row", "other_file", "other_line", "other_row"]
    assert pair[:2] + pair[3:5] == ["train", "2", "train", "31"]
    assert pair[2] == pair[5] == "user: Question 1: how sure are you, in words of your own? | assistant: high"


def test_samples_are_in_a_file_for_each_label(folder):
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "high.jsonl",
        "low.jsonl",
        "script_alert_1_script_img_src_x_onerror_alert_2.jsonl",
    ]
    lines = [json.loads(line) for line in (folder / "samples" / "low.jsonl").read_text().splitlines()]
    assert len(lines) == 5
    assert all(line["record"]["messages"][-1]["content"] == "low" for line in lines)


def test_the_first_rows_are_written_as_text_and_as_tokens(folder):
    assert "=== 1: train:1\n[user] Question 0: how sure" in (folder / "first_rows.txt").read_text()
    _, _, title, ids, pieces, *_ = (folder / "tokenised_samples.txt").read_text().splitlines()
    assert title == f"=== 1: train:1: {len(json.loads(ids))} tokens"
    assert pieces.replace("|", "").startswith("[user] Question 0: how sure")


def test_the_page_is_self_contained_and_runs_nothing(folder):
    page = (folder / "index.html").read_text()
    tags = Tags(page).found
    assert {tag for tag, _ in tags} & {"script", "img", "link", "iframe", "object"} == set()
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert any("default-src 'none'" in attributes.get("content", "") for _, attributes in tags)
    assert "prefers-color-scheme: dark" in page


def test_data_is_shown_unchanged(folder):
    texts = "".join(Tags((folder / "index.html").read_text()).texts)
    assert EVIL in texts
    for message in (
        "34 chat records",
        "1 row is invalid",
        "invalid json",
        "Identical rows: 1 row",
        "cl100k_base",
        "Answers",
        "score",
        "0 to 29",
    ):
        assert message in texts, message


def test_the_page_has_a_chart_for_what_varies_and_none_for_what_does_not(folder):
    titles = Tags((folder / "index.html").read_text()).texts
    assert "Tokens per row" in titles
    assert "Messages of a row" not in titles  # always two


def test_labels_that_share_a_file_name_share_the_file(tmp_path):
    folder, _ = inspected(tmp_path, [labelled(1, "a/b"), labelled(2, "a b"), labelled(3, "../..")])
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["a_b.jsonl", "blank.jsonl"]
    assert len((folder / "samples" / "a_b.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "samples").exists()


def test_only_our_own_folder_is_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not written by recipekit"):
        inspected(tmp_path, [labelled(1, "a")], name="mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    inspected(tmp_path, [labelled(1, "a")])
    folder, names = inspected(tmp_path, [labelled(1, "b"), labelled(2, "b")])
    assert "samples/b.jsonl" in names
    assert not (folder / "samples" / "a.jsonl").exists()


@pytest.mark.parametrize("name", ["notes.md", "samples/c.jsonl", "sub/y"])
def test_foreign_files_are_kept(tmp_path, name):
    folder, names = inspected(tmp_path, [labelled(1, "a"), labelled(2, "b")])
    assert sorted(names) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(UserError, match=name):
        inspected(tmp_path, [labelled(1, "a")])
    assert (folder / name).read_text() == "mine" and (folder / "samples" / "b.jsonl").is_file()


def test_inspect_does_not_overwrite_its_input(tmp_path):
    folder, _ = inspected(tmp_path, [labelled(1, "a")])
    inputs = Inputs("rows", {"a": folder / "samples" / "a.jsonl"}, {})
    with pytest.raises(UserError, match=r"a\.jsonl: is an input inside"):
        write_inspection(folder, inputs, inspect(Inputs("rows", {"train": tmp_path / "train.jsonl"}, {}), Options(tokenizer("cl100k")), tmp_path),
                         tokenizer("cl100k"))  # fmt: skip
    assert (folder / "samples" / "a.jsonl").is_file()


def test_fields_with_many_values_are_summarised(tmp_path):
    rows = [chat(n, who=f"person {n}", group=f"{n % 2}") for n in range(1100)]
    folder, _ = inspected(tmp_path, rows, near=None, languages=False, samples=0)
    texts = "".join(Tags((folder / "index.html").read_text()).texts)
    assert "more than 1,000 different values" in texts
    assert "0 (550), 1 (550)" in texts
    assert json.loads((folder / "inspection.json").read_bytes())["meta"]["who"]["most_common"]["and_more"] is True
