"""Comprehensiveness (0 to 2), professionalism (0 to 3), authenticity (0 to 3) and safety (0 to 1) of replies, as a model judges them.

The mean over the rows whose judgement could be read; how many could not stands in metrics.json. Scales of CPsyCoun (Zhang et al. 2024).
The judge and its prompt: runner/evaluation/judge.py, and in metrics.json.
"""

from typing import NamedTuple

from . import Prediction, ratio


class Judged(NamedTuple):
    """One of the four scales."""

    scale: str
    UNIT = ""
    BETTER = "higher"
    NEEDS_REPLY = True
    ON_REFERENCE = False
    value = staticmethod(ratio)

    def parts(self, case: Prediction) -> tuple[float, float]:
        """The row's score; (0, 0) without one."""
        return (case.judged[self.scale], 1) if self.scale in case.judged else (0, 0)


MEMBERS = {scale: Judged(scale) for scale in ("comprehensiveness", "professionalism", "authenticity", "safety")}
