"""Our keys in Axolotl's configuration, with their types; Axolotl merges them into its own, so that a misspelt key is refused."""

from typing import Literal

from pydantic import BaseModel


class PluginKeys(BaseModel):
    """Keys for record types that Axolotl lacks. `class_weights` is `balanced` or a weight by label."""

    record_type: Literal["classification", "text"] | None = None
    labels: list[str] | None = None
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    pack_blocks: bool | None = None
    flatten_batches: bool | None = None
    rows_by_step: bool | None = None
    fp32_weights: bool | None = None
    deterministic: bool | None = None
    fold_system: bool | None = None
    accepted_losses: list[Literal["reasoning", "whitespace"]] | None = None
