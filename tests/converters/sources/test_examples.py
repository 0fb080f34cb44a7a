"""Every folder of tests/examples/converters is a case: <converter>/<case>/{input.* or input/, expected.jsonl, options.json}.

expected.jsonl has a line for each record (its fields and meta, without its origin) and for each drop ({"drop": reason}), in order.
options.json holds the converter's options; its key `type` is the record type, if that is not the converter's first.
UPDATE_GOLDEN=1 writes expected.jsonl, of new cases too: read the difference before you commit it.
"""

import json
import os

import pytest
from recipekit.converters.building.chat_checks import record_fault
from recipekit.converters.reading.files import source_files
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop, Part
from recipekit.converters.sources.registry import CONVERTERS, converter, option_problems

from ...support.converter_examples import CASES, EXAMPLES


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_an_example_converts_to_its_expected_records(case):
    found = list(converted(case, rows_of(case)))
    expected = case / "expected.jsonl"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found), encoding="utf-8")
    assert expected.is_file(), "UPDATE_GOLDEN=1 writes it: read it before you commit it"
    assert found == [json.loads(line) for line in expected.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_every_converter_has_an_example(name):
    assert any(case.parent.name == name for case in CASES)


def test_every_example_folder_names_a_converter_and_has_what_it_needs():
    for folder in EXAMPLES.glob("*/*"):
        assert folder.parent.name in CONVERTERS, folder
        assert list(folder.glob("input*")), folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_each_row_of_an_example_makes_a_record_or_a_drop_by_itself(case):
    rows = [row for row in rows_of(case) if isinstance(row, Drop) or str(row.value).strip()]  # blank lines part paragraphs
    assert [row for row in rows if not list(converted(case, [row]))] == [], "a row that makes no record is a Drop"


def rows_of(case):
    """The rows of the case's input, and the drops of those that cannot be read."""
    files = [file for path in sorted(case.glob("input*")) for file in source_files(str(path))]
    return [row for file in files for row in read_file(file, converter(case.parent.name).INPUT)[1]]


def converted(case, rows):
    """The lines of expected.jsonl that the converter gives for the case's rows."""
    settings = case / "options.json"
    options = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    module = converter(case.parent.name)
    kind = options.pop("type", module.RECORD_TYPES[0])
    assert option_problems(case.parent.name, options) == []
    unreadable = []

    def readable():
        for row in rows:
            if isinstance(row, Drop):
                unreadable.append({"drop": row.reason})
            else:
                yield row

    for item in module.convert(readable(), kind, **options):
        if isinstance(item, Part):  # counted with the row that it belongs to
            continue
        fault = None if isinstance(item, Drop) else record_fault(kind, item.fields)
        yield from unreadable
        unreadable.clear()
        if isinstance(item, Drop) or fault:
            yield {"drop": item.reason if isinstance(item, Drop) else fault[0]}
        else:
            yield {**item.fields, "meta": item.meta}
    yield from unreadable
