"""Classify lines: each gets a label, with the probability of every label."""

from pathlib import Path
from typing import Any

import click
import orjson

from ...converters.building.training_form import TrainingForm
from ...schemas.base.errors import UserError
from ...schemas.recipe import load_recipe
from ..models.reference import ModelReference
from ..runtime.run_folder import RunFolder
from ..worker.generation import label_probabilities
from ..worker.loading import load


class Classifier:
    """The model of a classification run, or a folder with one."""

    help = "each line is classified; /quit or Ctrl-D to end"

    def __init__(self, target: ModelReference, as_json: bool) -> None:
        self.as_json = as_json
        self.loaded = load(target, "classification")
        self.labels = list(self.loaded.labels)
        self.sequence_len = self.loaded.context
        self.form: TrainingForm | None = None
        if target.run:
            recipe = load_recipe(RunFolder(Path(target.run)).recipe_file).recipe
            self.sequence_len = recipe.training.sequence_len  # as training truncates long texts
            self.form = TrainingForm.of(recipe.data)

    @property
    def reads(self) -> str:
        """Return how texts are read, in words."""
        return str(self.form or "read as they are: no recipe says how the rows of the training were converted")

    def classify(self, text: str) -> dict[str, Any]:
        """Return the label, every label's probability, the text's number of tokens, and how many the model saw.

        Raises UserError for a text of which the training would have made no row.
        """
        return self.classify_all([text])[0]

    def classify_all(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify several texts at once, each in the form of the training's rows."""
        from ..worker.classification import tokenise

        read = map(self.form.read, texts) if self.form else texts
        tokenised = [tokenise(text, self.loaded.tokenizer, self.sequence_len) for text in read]
        found = []
        for (ids, tokens), chances in zip(tokenised, label_probabilities(self.loaded, [ids for ids, _ in tokenised]), strict=True):
            probabilities = dict(sorted(zip(self.labels, chances, strict=True), key=lambda pair: -pair[1]))
            found.append({"label": next(iter(probabilities)), "probabilities": probabilities, "tokens": tokens, "tokens_seen": len(ids)})
        return found

    def respond(self, line: str) -> None:
        """Print the line's label and all probabilities, the likeliest first."""
        found = self.classify(line)
        if self.as_json:
            click.echo(orjson.dumps(found))
            return
        click.echo("  ".join(f"{label} {chance:.3f}" for label, chance in found["probabilities"].items()))
        if found["tokens"] > found["tokens_seen"]:
            click.echo(f"only the first {found['tokens_seen']:,} of its {found['tokens']:,} tokens were read", err=True)

    def reset(self) -> str:
        """Return that there is nothing to clear."""
        return "each line is classified by itself"

    def set_system(self, text: str) -> str:
        """Raise UserError: a classifier takes none."""
        raise UserError("a classifier takes no system prompt")

    def stop(self) -> None:
        """Do nothing: there are no threads to stop."""
