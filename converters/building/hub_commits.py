"""A recipe whose data sets on a hub are named by branch or tag, as a run takes it: at the commits that those stand for now."""

import copy
from typing import Any

from ...schemas.recipe import Loaded
from .hub_datasets import commit_of, is_on_hub


def at_commits(loaded: Loaded) -> Loaded:
    """The recipe with a commit as the revision of every such source, so that a run that is resumed or reproduced reads the same rows."""
    sources = loaded.recipe.data.sources
    if not any(map(is_on_hub, sources)):
        return loaded
    values: Any = copy.deepcopy(loaded.document.data)
    pinned = []
    for source, value in zip(sources, values["data"]["sources"], strict=True):
        if is_on_hub(source):
            value["revision"] = commit_of(source)
            source = source._replace(revision=value["revision"])
        pinned.append(source)
    recipe = loaded.recipe._replace(data=loaded.recipe.data._replace(sources=tuple(pinned)))
    return loaded._replace(recipe=recipe, document=loaded.document._replace(data=values))
