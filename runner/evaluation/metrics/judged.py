"""CPsyCoun's four scales (Zhang et al. 2024), scored by a model; the mean over rows with a readable judgement.

metrics.json has the number of unreadable ones, with the judge and its prompt.
"""

from . import Prediction, register_metric

SCALES = ("comprehensiveness", "professionalism", "authenticity", "safety")  # each a scale of the judge's prompt


def _register(scale: str) -> None:
    @register_metric(scale, higher_is_better=True, needs="judge", needs_reply=True)
    def judged(row: Prediction) -> tuple[float, float]:
        return (row.judged[scale], 1) if scale in row.judged else (0, 0)


for _scale in SCALES:
    _register(_scale)
