"""The first rows through a converter, as a conversion would read them."""

import json

from recipekit.converters.building.trial import try_converter
from recipekit.converters.reading.files import SourceFile


def test_rows_on_one_line_are_distinct(tmp_path):
    runs = [{"run_number": n, "question_id": "q", "chinese_text": "t", "raw_model_output": "joy"} for n in (1, 2, 3)]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    found = try_converter("introspection", "chat", {}, [SourceFile(tmp_path / "runs.json", "runs.json")], 10)
    assert [record.meta["count"] for record in found.records] == [3] and not found.unusable
