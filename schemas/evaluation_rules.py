"""Rules about a recipe's evaluation."""

from collections.abc import Iterator

from .evaluation_sections import Gate, label_form
from .findings import Finding, Rule, no_effect
from .metrics import JUDGED, LOSSES, METRICS, OF_LABELS, OF_REPLIES, UNDIRECTED
from .sections import Recipe
from .yaml_source import KeyPath


def metric_for_record_type(recipe: Recipe) -> Iterator[Finding]:
    for index, metric in enumerate(recipe.evaluation.metrics):
        if recipe.data.type not in METRICS[metric]:
            fitting = ", ".join(name for name, types in METRICS.items() if recipe.data.type in types)
            yield Finding(("evaluation", "metrics", index), f"{metric} does not apply to {recipe.data.type} records", f"use {fitting}")
    if recipe.data.type == "classification" and not recipe.evaluation.metrics:
        yield Finding(("evaluation", "metrics"), "is empty: the best baseline is the one that is best in the first metric", "use accuracy")
    best, kind = recipe.training.metric_for_best_model, recipe.data.type
    allowed = ["eval_loss", "eval_accuracy", "eval_macro_f1"] if kind == "classification" else ["eval_loss"]
    if best not in allowed:
        yield Finding(("training", "metric_for_best_model"), f"{best!r} is not available for {kind} records", f"use {', '.join(allowed)}")


def _limits_of(gate: Gate, path: KeyPath) -> Iterator[Finding]:
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        yield Finding(path, f"min {gate.min} is greater than max {gate.max}", "swap them, or remove one")


def gate_without_metric(recipe: Recipe) -> Iterator[Finding]:
    for metric, gate in recipe.evaluation.gates.items():
        path = ("evaluation", "gates", metric)
        if metric == "validation_loss" and not recipe.data.has_split("validation"):
            yield Finding(path, "needs validation rows", "set data.split.validation above 0")
        elif metric not in (*recipe.evaluation.metrics, *LOSSES):
            yield Finding(path, "the metric is not in evaluation.metrics", f"add {metric} to evaluation.metrics")
        yield from _limits_of(gate, path)
        if metric in (*LOSSES, *UNDIRECTED):
            why = "the base model has none" if metric in LOSSES else "neither direction is better"
            yield no_effect((*path, "max_regression"), f" on {metric}: {why}", "use min or max")
        elif gate.max_regression is not None and recipe.data.type == "classification":
            what = "the base model of a classifier is not measured: its head is random before training"
            yield Finding((*path, "max_regression"), what, "use min or max")


_SAMPLED = ("temperature", "top_p")  # read only where replies are generated, as is max_new_tokens


def sampling_without_temperature(recipe: Recipe) -> Iterator[Finding]:
    prompts = recipe.evaluation.prompts
    if not recipe.evaluation.generation.temperature:
        yield no_effect(("evaluation", "generation", "top_p"), " at temperature 0", "set temperature above 0, or remove it")
    if prompts and prompts.generation and not prompts.generation.temperature:
        for key in ("top_p", "seed"):
            at = ("evaluation", "prompts", "generation", key)
            yield no_effect(at, " at temperature 0", "set temperature above 0, or remove it")


def generates_replies(recipe: Recipe) -> bool:
    """Return whether the evaluation generates replies: a metric is of replies, they are the labels that are counted, or they are judged."""
    evaluation = recipe.evaluation
    return recipe.data.type == "chat" and (
        bool(evaluation.labels) or evaluation.rubric is not None or not set(OF_REPLIES).isdisjoint(evaluation.metrics)
    )


def generation_without_replies(recipe: Recipe) -> Iterator[Finding]:
    """Settings of replies where none are generated. The batch size and the seed are also those of scoring and of the choice of rows."""
    evaluation, kind = recipe.evaluation, recipe.data.type
    sets = {name: generates_replies(recipe.of_set(name)) for name in evaluation.also}
    # Replies with the settings of evaluation.generation: of the sets too, but for max_new_tokens where they have their own.
    shared = generates_replies(recipe) or (kind != "classification" and generates_probes(recipe))
    own_length = all(evaluation.also[name].max_new_tokens for name, generates in sets.items() if generates)
    why = f" on {kind} records" if kind == "classification" else ": nothing in the evaluation generates replies"
    for key, is_read in (("max_new_tokens", not own_length), *((key, any(sets.values())) for key in _SAMPLED)):
        if not shared and not is_read:
            yield no_effect(("evaluation", "generation", key), why)
    for name, generates in sets.items():
        if not generates:
            yield no_effect(("evaluation", "also", name, "max_new_tokens"), ": no metric of the set is of replies")


def generates_probes(recipe: Recipe) -> bool:
    """Return whether sample prompts or the sentiment probe are answered with the settings of evaluation.generation."""
    evaluation = recipe.evaluation
    return bool(evaluation.sentiment_model) or (evaluation.prompts is not None and evaluation.prompts.generation is None)


def evaluation_split_exists(recipe: Recipe) -> Iterator[Finding]:
    split = recipe.evaluation_split
    if not recipe.data.has_split(split):
        yield Finding(("evaluation",), f"the {split} split is empty", f"set data.split.{split} above 0")


def labels_without_their_metrics(recipe: Recipe) -> Iterator[Finding]:
    evaluation, kind = recipe.evaluation, recipe.data.type
    if kind != "chat":
        yield no_effect(("evaluation", "labels"), f" on {kind} records", "remove it: the labels come from the data")
    elif not set(OF_LABELS) & set(evaluation.metrics):
        yield no_effect(("evaluation", "labels"), ": no metric uses labels", f"add one of {', '.join(OF_LABELS)}")
    if kind != "chat" or evaluation.labels:
        return
    for index, metric in enumerate(evaluation.metrics):
        if metric in OF_LABELS:
            hint = "set evaluation.labels to the possible replies, e.g. [low, medium, high]"
            yield Finding(("evaluation", "metrics", index), f"{metric} needs evaluation.labels", hint)


def judge_without_its_metrics(recipe: Recipe) -> Iterator[Finding]:
    evaluation = recipe.evaluation
    if not set(JUDGED) & set(evaluation.metrics):
        yield no_effect(("evaluation", "judge"), ": no metric uses a judge", f"add one of {', '.join(JUDGED)}")
    for index, metric in enumerate(evaluation.metrics):
        if metric in JUDGED and not evaluation.judge and recipe.data.type == "chat":
            hint = "write evaluation.judge: {prompt: judge_counsellor, provider: {provider: ..., model: ...}}"
            yield Finding(("evaluation", "metrics", index), f"{metric} needs a judge", hint)


def probes_of_another_record_type(recipe: Recipe) -> Iterator[Finding]:
    for key, types in {"logit_lens": ("chat", "text"), "blimp": ("chat", "text"), "sentiment_model": ("chat",)}.items():
        if recipe.data.type not in types:
            yield no_effect(("evaluation", key), f" on {recipe.data.type} records")


def sentiment_prompts_without_their_model(recipe: Recipe) -> Iterator[Finding]:
    if not recipe.evaluation.sentiment_model:
        yield no_effect(("evaluation", "sentiment_prompts"), " without evaluation.sentiment_model", "name a classifier there")


def sample_prompts_given_once(recipe: Recipe) -> Iterator[Finding]:
    prompts = recipe.evaluation.prompts
    if prompts is None:
        return
    if bool(prompts.texts) == bool(prompts.path):
        what = "has texts and path" if prompts.path else "has no prompt"
        yield Finding(("evaluation", "prompts"), what, "give either texts or path; null removes an inherited key")
    if recipe.data.type == "classification":
        yield no_effect(("evaluation", "prompts", "generation"), " on classification records")


def labels_that_look_the_same(recipe: Recipe) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for index, label in enumerate(recipe.evaluation.labels):
        folded = label_form(label)
        if folded in seen:
            what = f"{label!r} and {seen[folded]!r} cannot be distinguished"
            yield Finding(("evaluation", "labels", index), what, "labels are compared without case, quotes and punctuation around them")
        seen[folded] = label


OF_SETS: tuple[Rule, ...] = (metric_for_record_type, gate_without_metric, labels_without_their_metrics, labels_that_look_the_same)


def rules_of_evaluation_sets(recipe: Recipe) -> Iterator[Finding]:
    """Apply the evaluation's rules to each further set."""
    for name in recipe.evaluation.also:
        at, of_set = ("evaluation", "also", name), recipe.of_set(name)
        for finding in (found for rule in OF_SETS for found in rule(of_set) if found.path[0] == "evaluation"):
            what, hint = (text.replace("evaluation.", f"{'.'.join(at)}.") for text in (finding.what, finding.hint))
            yield finding._replace(path=(*at, *finding.path[1:]), what=what, hint=hint)


def evaluation_sets_of_another_kind(recipe: Recipe) -> Iterator[Finding]:
    kind = recipe.data.type
    possible = ("chat", "text") if kind == "chat" else (kind,)
    for name, found in recipe.evaluation.also.items():
        at = ("evaluation", "also", name)
        if found.type and found.type not in possible:
            yield Finding(
                (*at, "type"),
                f"a model of {kind} records cannot be measured on {found.type} records",
                f"use {' or '.join(possible)} records",
            )
        for index, metric in enumerate(found.metrics):
            if metric in JUDGED:
                yield Finding((*at, "metrics", index), f"{metric} needs a judge, which is only used on the evaluated split", "remove it")
        for number, source in enumerate(found.sources):
            for key in ("weight", "split"):
                yield no_effect((*at, "sources", number, key), ": every row is held out")
            if source.path.startswith("generated:"):
                what = "generated rows can only be trained and split"
                yield Finding((*at, "sources", number, "path"), what, "generate them with another recipe, and use its rows.jsonl")


def rubric_fits(recipe: Recipe) -> Iterator[Finding]:
    rubric = recipe.evaluation.rubric
    if rubric is None:
        return
    if recipe.data.type != "chat":
        yield no_effect(("evaluation", "rubric"), f" on {recipe.data.type} records: there are no replies")
    if not rubric.judges:
        for key in ("max_new_tokens", "limits"):
            yield no_effect(("evaluation", "rubric", key), " without judges", "add evaluation.rubric.judges, or remove it")
    for name, gate in rubric.gates.items():
        path = ("evaluation", "rubric", "gates", name)
        if name not in rubric.criteria:
            yield Finding(path, "no such criterion", f"criteria: {', '.join(rubric.criteria)}")
        yield from _limits_of(gate, path)


EVALUATION_RULES: tuple[Rule, ...] = (
    metric_for_record_type,
    gate_without_metric,
    sampling_without_temperature,
    generation_without_replies,
    evaluation_split_exists,
    labels_without_their_metrics,
    judge_without_its_metrics,
    probes_of_another_record_type,
    sentiment_prompts_without_their_model,
    sample_prompts_given_once,
    labels_that_look_the_same,
    rules_of_evaluation_sets,
    evaluation_sets_of_another_kind,
    rubric_fits,
)
