"""Text files whose names say what their lines are."""

import subprocess

import pytest
from recipekit.runner.importing.recognise import recognise
from recipekit.schemas.base.errors import UserError


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, lines in files.items():
        (folder / name.replace("__", ".")).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(folder)


ENGLISH, GERMAN = [f"It rained for {n} days." for n in range(9)], [f"Es regnete {n} Tage." for n in range(9)]


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (("train__en", "train__de"), ("train.de", "train.en")),
        (("src__txt", "tgt__txt"), ("src.txt", "tgt.txt")),
        (("train_answers__txt", "train_questions__txt"), ("train_questions.txt", "train_answers.txt")),
    ],
)
def test_two_texts_that_belong_together_line_by_line_are_refused(tmp_path, names, sides):
    folder = write(tmp_path / "pairs", **dict(zip(names, (ENGLISH, GERMAN), strict=True)))
    with pytest.raises(UserError, match="belong together line by line") as error:
        recognise([folder])
    assert f"paste {sides[0]} {sides[1]} > rows.tsv" in error.value.problems[0].hint


@pytest.mark.parametrize("names", [("neg__txt", "pos__txt"), ("rt-polarity__neg", "rt-polarity__pos")])
def test_the_command_for_lists_of_texts_with_a_label_each_writes_a_table(tmp_path, names):
    folder = write(tmp_path / "lists", **dict(zip(names, (ENGLISH, [*GERMAN, "Gut."]), strict=True)))
    with pytest.raises(UserError, match="whose names are their labels") as error:
        recognise([folder])
    command = error.value.problems[0].hint.partition("columns: ")[2].partition("; recipe new")[0]
    subprocess.run(["bash", "-c", command], check=True, cwd=folder)
    found = recognise([f"{folder}/rows.tsv"], columns=("label", "text"))
    assert [(record.fields["label"], record.fields["text"]) for record in found.records] == [
        *(("neg", text) for text in ENGLISH), *(("pos", text) for text in [*GERMAN, "Gut."])
    ]  # fmt: skip


def test_other_texts_side_by_side_are_documents(tmp_path):
    for number, files in enumerate(({"a__txt": ENGLISH, "b__txt": GERMAN}, {"train__en": ENGLISH, "train__de": GERMAN[1:]},
                                    {"sad__txt": ["A poem."], "happy__txt": ["Another poem."]})):  # fmt: skip
        assert len(recognise([write(tmp_path / str(number), **files)]).records) == 2
