"""Keys of Axolotl that recipes do not have: those that train something else, and those of which the recipe says more than
schemas/axolotl_fields.json; and tokens that mean the end of a text."""

_SUPERVISED = "recipes support supervised fine-tuning only, not preferences or rewards"
_MEDIA = "recipes support text models only, not vision or audio"
_WEIGHTS = "the training would start from other weights than model.base_model: merge this adapter first, and name the result there"
_MODEL = "recipes train the model as it is, without changes to its layers, weights or numbers"

OTHER_TRAININGS = {
    **dict.fromkeys(("rl", "reward_model", "process_reward_model"), _SUPERVISED),
    **dict.fromkeys(("processor_type", "processor_config", "is_multimodal", "image_size", "image_resize_algorithm"), _MEDIA),
    "lora_model_dir": _WEIGHTS,
    **dict.fromkeys(
        (
            "reinit_weights",
            "relora",
            "qat",
            "gptq",
            "use_onebitllms",
            "overrides_of_model_config",
            "rope_scaling",
            "peft_layer_replication",
        ),
        _MODEL,
    ),
    "trainer_cls": "it runs code that the recipe does not show",
}
REFUSED = {
    "pretraining_dataset": "pretraining streams are not supported: use datasets with type: completion",
    "skip_prepare_dataset": "rows are always converted and counted before training",
    "streaming": "rows are always converted and counted before training",
    "eval_sample_packing": "evaluation rows are never packed",
    "merge_lora": "use export.merge: true",
    "evaluation_strategy": "obsolete: eval_strategy",
}
# Plugins that make a training faster or smaller, or write it down: none changes what is trained.
SAME_TRAINING_PLUGINS = tuple(
    f"axolotl.integrations.{name}." for name in ("cut_cross_entropy", "kernels", "expert_parallel", "swanlab", "lm_eval", "liger")
)
# Tokens that tokenizers have on their own for the end of a text: replies end with any other that a configuration sets.
ENDS_OF_TEXT = ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|end_of_sentence|>", "<｜end▁of▁sentence｜>")
