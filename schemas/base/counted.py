"""A count with its noun."""


def counted(number: int, noun: str) -> str:
    """Return the number and the noun: "1 row", "2,000 rows"."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")
