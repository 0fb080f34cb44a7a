"""How a reply is compared with the labels of evaluation.labels."""

_AROUND = " \t\n\r.,;:!?\"'`*“”‘’«»()[]。！？，；："


def label_form(text: str) -> str:
    """Return the form in which a reply and its label are equal: in one case and Unicode form, without quotes and punctuation around it. A
    label of punctuation alone, such as `:)`, keeps it."""
    from unicodedata import normalize  # most recipes have no labels

    return normalize("NFC", text.strip(_AROUND) or text.strip()).casefold()
