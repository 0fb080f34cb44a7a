"""The columns of notes that Anki exports are named by the lines above them."""

import pytest
from recipekit.runner.importing.anki import AnkiHeader, anki_header, anki_header_of
from recipekit.runner.importing.recognise import recognise

WHOLE = "#separator:tab\n#html:true\n#guid column:1\n#notetype column:2\n#deck column:3\n#tags column:6\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WHOLE + "g\tBasic\tD\tq\ta\tx y\n", AnkiHeader(6, ("guid", "notetype", "deck", "front", "back", "tags"), True)),
        ("#separator:tab\n#html:false\nq\ta\n", AnkiHeader(2, ("front", "back"), False)),
        ("#separator:Semicolon\n#tags:geo\nq;a;b\n", AnkiHeader(2, ("front", "back", "field_3"), False)),
        ("#separator:;\n#columns:Wort;Satz\nq;a\n", AnkiHeader(2, ("Wort", "Satz"), False)),
        ("#separator:;\n#columns:one\nq;a\n", AnkiHeader(2, ("front", "back"), False)),
        ('#separator:comma\n"q, r",a\n', AnkiHeader(1, ("front", "back"), False)),
        ("#separator:tab\n", AnkiHeader(1, (), False)),
        ("#separator:space\nq a\n", None),
        ("# a comment\nq,a\n", None),
        ("q\ta\n", None),
        ("", None),
    ],
)
def test_columns_are_named_by_the_lines_above_the_notes(text, expected):
    assert anki_header(text.encode()) == expected


def test_cards_are_questions_and_answers(tmp_path):
    path = tmp_path / "deck.txt"
    path.write_text(WHOLE + "".join(f"g{n}\tBasic\tD\tWhat is {n}?\tIt is {n}\t\n" for n in range(20)))
    header = anki_header_of([str(path)])
    found = recognise([str(path)], columns=header.columns)
    assert found.choice.options == {"user_key": "front", "assistant_key": "back"} and len(found.records) == 20
    assert found.unread == ["deck", "guid", "notetype", "tags"] and not found.alternatives
