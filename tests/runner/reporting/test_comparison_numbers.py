"""What runs are compared on: the evaluated rows, and those of further sets, as they were sealed."""

import pytest
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import write_seal
from recipekit.schemas.base.errors import UserError

from ...support.corruption import DAMAGES
from ...support.jsonl import write_jsonl

pytest.importorskip("scipy", reason="needs the extra [eval]: scipy")


@pytest.mark.parametrize("damage", ["empty", "a flipped bit", "missing", "a folder"])
@pytest.mark.parametrize("folder", ["eval", "eval/sets/old"])
def test_rows_that_were_damaged_are_named_and_not_compared(tmp_path, folder, damage):
    from recipekit.runner.reporting.comparison_numbers import row_set

    run = RunFolder(tmp_path / "run")
    write_jsonl(run / folder / "rows.jsonl", [{"id": "1"}, {"id": "2"}])
    write_seal(run / "eval")
    assert len(row_set(run, folder)) == 2
    DAMAGES[damage](run / folder / "rows.jsonl")
    with pytest.raises(UserError, match=rf"{folder}/rows.jsonl: (was changed|is missing|cannot be read)"):
        row_set(run, folder)
