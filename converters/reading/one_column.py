"""Find out whether the quotes of a table of one column are its texts' own: no delimiter shows where a cell ends.

A program quotes every text, or those that need it. A file that uses quotes in another way was not written as CSV: reading it as such
would take quotes out of texts, and join lines.
"""

_CONTRADICTIONS = (("needless", "bare", "is not"), ("spanning", "inner", "has a quote of its own"))


class Quoting:
    """How the cells of the table are quoted, noted as they are read."""

    def __init__(self, delimiter: str) -> None:
        self.signs = (delimiter, '"')
        self.first: dict[str, int] = {}  # kind of cell -> its first line

    def fault(self, cell: str, raw: list[str], line: int) -> str:
        """Note a cell and its lines; return in words how it contradicts earlier cells, or ""."""
        kinds = self._kinds(cell, raw)
        for kind in kinds:
            self.first.setdefault(kind, line)
        for quoted, plain, how in _CONTRADICTIONS:
            if quoted in self.first and plain in self.first and not kinds.isdisjoint((quoted, plain)):
                what = f"the text in line {self.first[quoted]} is quoted, that in line {self.first[plain]} {how}"
                return f'{what}: quote every text, and write a quote of the text as ""'
        return ""

    def _kinds(self, cell: str, raw: list[str]) -> set[str]:
        if not raw[0].startswith('"'):
            return {*(["inner"] if '"' in cell else []), *([] if _is_number(cell) else ["bare"])}
        if len(raw) > 1:
            return {"spanning"}
        return set() if not cell or cell != cell.strip() or any(sign in cell for sign in self.signs) else {"needless"}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
