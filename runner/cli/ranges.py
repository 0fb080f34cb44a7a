"""Types of options that click does not have."""

import math
from typing import Any

import click


class Between(click.FloatRange):
    """A number between two others. Click lets nan through: no comparison with it is true."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; fails where it is none or outside."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number
