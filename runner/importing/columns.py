"""Find out what the columns of rows are for, by their names or their cells."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ...converters.building.key_meanings import REASONING, meaning
from ...converters.sources.key_paths import is_path
from ...schemas.base.words import CJK

USER = (
    "question", "prompt", "user", "query", "instruction", "input", "ask", "request", "problem", "human", "patient", "client", "source",
    "inputs", "q", "front",
    "frage", "anfrage", "pregunta", "pergunta", "domanda", "vraag", "pytanie", "вопрос", "问题", "问", "質問", "질문",
)  # fmt: skip
ASSISTANT = (
    "answer", "response", "reply", "assistant", "completion", "output", "outputs", "solution", "target", "targets", "bot", "doctor",
    "therapist", "counselor", "a", "answers", "antwort", "réponse", "reponse", "respuesta", "resposta", "risposta", "antwoord", "odpowiedź",
    "ответ",
    "回答", "答案", "答", "답변", "back",
)  # fmt: skip
NO_REPLIES = ("output", "outputs", "target", "targets", "completion")  # of a text, these may be what is made of it
CONTEXT = ("context", "passage", "input", "document", "background", "paragraph", "article", "story", "definition")
TEXT = (
    "text", "sentence", "review", "content", "comment", "body", "message", "tweet", "post", "document", "article", "story",
    "utterance", "mes", "msg",
    "kommentar", "nachricht", "rezension", "texte", "commentaire", "texto", "comentario", "testo", "текст", "отзыв", "文本", "内容", "评论",
)  # fmt: skip
LABEL = (
    "label", "labels", "class", "class_name", "classname", "category", "sentiment", "emotion", "stars", "rating", "overall", "intent",
    "topic", "target", "score", "type",
    "choice", "choices", "annotation", "kategorie", "klasse", "bewertung", "sterne", "stimmung", "étoiles", "estrellas", "stelle",
    "catégorie", "étiquette", "note", "categoría", "etiqueta", "categoria", "категория", "класс", "тональность", "эмоция",
    "标签", "类别", "情感",
)  # fmt: skip
# Last words of longer names (`agent_reply`) that have no other meaning.
QUESTION_ENDINGS = ("question", "prompt", "query", "instruction", "request")
ANSWER_ENDINGS = ("answer", "response", "reply", "completion", "solution")
COMPOUND_ENDINGS = ("frage", "antwort", "kommentar", "nachricht", "rezension")  # German words end without a blank: `Kundenanfrage`
TEXT_ENDINGS = ("review", "body", "comment", "message", "tweet")
LABEL_ENDINGS = ("label", "class", "category", "sentiment", "emotion", "stars", "rating", "intent", "topic", "score")
SYSTEM = (
    "system",
    "system_prompt",
    "systemprompt",
    "system_message",
    "systemmessage",
    "system_instruction",
    "systeminstruction",
    "meta_instruction",
)
# Two texts that are judged together: a label describes both.
PAIRS = (("premise", "hypothesis"), ("question", "passage"), ("question", "sentence"), ("claim", "evidence"), ("query", "document"))
NUMBERED = re.compile(r"(.+?)(?:_?(?:\d+|[ab])|_[a-z])")
GROUP = re.compile(r"(?:^|_)(?:id|author|user|conversation|thread|dialog(?:ue)?|patient|customer|speaker|kunde|autor|auteur|cliente)$")
MAX_LABELS = 200
MAX_LEVELS = 20  # more different numbers with fractions are measured
CODES = 10  # at most so many different numbers are codes of labels and no answers
ROWS_PER_LABEL = 5
QUESTIONS, FEWER_QUESTIONS = 0.4, 0.1  # shares of cells with a question mark, in a column of questions and in one of answers
MIN_WORDS = 4  # on average: a shorter text is a name, a date or a label
LABEL_WORDS = 4  # at most, on average
_TURNS = re.compile(
    r"\[/INST\]|<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|(?:user|assistant|prompter)\|>"
    r"|\[\|Human\|\]|\b(?:USER|ASSISTANT|HUMAN)>?: |<(?:human|bot|user|assistant)>: "
    r"|(?:^|\n|###? ?)"
    r"(?:(?:Human|User|Assistant|Instruct|Instruction|Response|Bot|Doctor|Patient|Therapist|Counselor|Client|Customer|Agent):"
    r"|(?:用户|助手|医生|病人|患者|来访者|咨询师)[:：])"
)
_DATE = re.compile(r"\s*(?:\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b|(?:19|20)\d\d\s*$)")
SHORTER = ("summary", "highlights", "tldr", "abstract", "headline", "code")  # may be what a text beside it is to become
PREDICTED = re.compile(r"(?:^|_)(?:pred(?:icted|iction)?|model|auto|suggest(?:ed|ion)?|weak)_")  # a label that nobody gave
# A date with its time, or seconds since 1970, or thousandths.
_TIME = re.compile(r"\s*(\d{4})[-/]\d\d[-/]\d\d[T ]|1\d{9}(?:\d{3}){0,3}(?:\.\d+)?$")
_WRITTEN_TIME = re.compile(r"(?=.*\b(?:19|20)\d\d\b).{0,30}\b\d\d?[:h] ?\d\d.{0,15}")  # as in `Monday, January 1, 2024 at 10:00 AM`
SPEAKERS = (
    "from", "speaker", "author", "sender", "sender_name", "user", "interlocutor", "creator", "display_name", "sender_full_name", "username",
    "direction", "name",
)  # fmt: skip
_GENERIC = {"text", "value", "values", "content", "choice", "choices", "name", "str", "string"}  # last in the path of what has another name
_STRUCTURED = re.compile(r"""\s*(?:[{[]\s*["'{[]|\((?:ROOT )?\s*\()""")  # JSON, a list of Python, a tree of words
_CJK = re.compile(f"[{CJK}]")


class Columns:
    """The columns of sampled rows. A column is found by its name in any case, with spaces or a suffix such as `_text`."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.names = [str(key) for key in dict.fromkeys(key for row in rows for key in row)]

    def named(self, names: Iterable[str], but: Iterable[str | None] = ()) -> str | None:
        """Return the first of the names that is a column, and none of `but`."""
        return next((self._folded[name] for name in names if name in self._folded and self._folded[name] not in but), None)

    def labelled(self, but: Iterable[str | None]) -> str | None:
        """Return the column of labels by its name: one that has few different values, if there is one."""
        found = [self._folded[name] for name in LABEL if name in self._folded and self._folded[name] not in but]
        return next((name for name in found if self.is_label(name)), next(iter(found), None))

    def ending(self, endings: tuple[str, ...]) -> list[str]:
        """Return the columns whose names have several words, the last of which is one of `endings`."""
        parts = tuple(f"_{ending}" for ending in endings) + tuple(set(endings) & set(COMPOUND_ENDINGS))
        return [name for name in self.names if folded(name).endswith(parts)]

    def numbered(self, endings: tuple[str, ...]) -> list[str]:
        """Return the columns that are one of `endings` with a number, such as `answer_1` and `answer_2`."""
        return [name for name in self.names if (found := NUMBERED.fullmatch(folded(name))) and found[1] in endings]

    def pair_of(self, name: str) -> tuple[str, str] | None:
        """Return this column of texts and the one that is judged with it, in their order: `premise` and `hypothesis`, or `text_1` and
        `text_2`; None if there is no other."""
        own, stem = folded(name), NUMBERED.fullmatch(folded(name))
        for other in self.texts:
            theirs, number = folded(other), NUMBERED.fullmatch(folded(other))
            is_known = (own, theirs) in PAIRS or (theirs, own) in PAIRS
            if other != name and (is_known or stem and number and stem[1] == number[1]):
                first, second = sorted((name, other), key=self.names.index)
                return first, second
        return None

    @cached_property
    def _folded(self) -> dict[str, str]:
        inner = {_last_name(name): name for name in reversed(self.names)}
        return inner | {folded(name): name for name in reversed(self.names)}

    @cached_property
    def texts(self) -> list[str]:
        """Return the columns of texts, the longest first."""
        lengths = {name: _mean_words(self.values(name)) for name in self.names}
        found = [name for name in self.names if lengths[name] >= MIN_WORDS and folded(name) not in SYSTEM]
        found = [name for name in found if not self._is_structured(name) and not self.is_time(name) and not self._is_constant(name)]
        return sorted(found, key=lambda name: -lengths[name])

    def _is_constant(self, name: str) -> bool:
        """Return whether every row has the same value, such as MOSS's `meta_instruction`: a prompt, a licence, no text of a row."""
        return len(self.rows) > 2 and not {".", "["} & {*name} and len({str(row.get(name)) for row in self.rows}) == 1

    def _is_structured(self, name: str) -> bool:
        values = [value for value in self.values(name) if isinstance(value, str)]
        return sum(bool(_STRUCTURED.match(value)) for value in values) > len(values) / 2

    def other_labels(self, label: str) -> list[str]:
        """Return the other columns that are labels by their names and their values: those of another question about the text."""
        named = [self._folded[name] for name in LABEL if name in self._folded and name not in ASSISTANT and name != "type"]
        named += self.ending(LABEL_ENDINGS)
        return [name for name in dict.fromkeys(named) if name != label and self.is_label(name)]

    def named_choices(self, answer: str) -> list[str]:
        """Return the columns whose names are the values of a column of answers: `A`, `B`, `C` and `D` hold the choices of a question."""
        values = {*map(str, self.values(answer))}
        return [name for name in self.names if name in values] if values and values <= {*self.names} else []

    def thoughts(self, but: Iterable[str]) -> str | None:
        """Return the column with the reasoning before each answer, if there is one, and one alone."""
        found = [name for name in self.names if name not in but and (meant := meaning(name)) and meant[1] == REASONING]
        found = [name for name in found if name in self.texts]
        return found[0] if len(found) == 1 and len(self.values(found[0])) == len(self.rows) else None

    def are_codes(self, name: str) -> bool:
        """Return whether a column has the few numbers, or the truth values, that stand for labels: no answers that a model could give."""
        values = self.values(name)
        return self.is_label(name) and len({*map(str, values)}) <= CODES and all(map(_is_code, values))

    def switches(self) -> list[str]:
        """Return the columns that hold 0 or 1 in every row, where there are several: one for each label that a text may have."""
        found = [name for name in self.names if {str(row.get(name)) for row in self.rows} == {"0", "1"}]
        return found if len(found) > 2 else []

    @cached_property
    def labels(self) -> list[str]:
        """Return the columns with few different short values, in their order."""
        few = [name for name in self.names if self.is_label(name) and not GROUP.search(folded(name))]
        return [name for name in few if _mean_words(self.values(name)) <= LABEL_WORDS]

    def values(self, name: str) -> list[Any]:
        """Return the cells of a column that are not empty."""
        return [row[name] for row in self.rows if row.get(name) not in (None, "")]

    def asking(self) -> tuple[str, str] | None:
        """Return the longest two columns of texts where one asks and the other does not: question marks show it in any language."""
        pair = self.texts[:2]
        shares = {
            name: sum("?" in str(value) or "？" in str(value) for value in self.values(name)) / len(self.values(name)) for name in pair
        }
        pair.sort(key=lambda name: -shares[name])
        if len(pair) == 2 and (folded(pair[1]) in (*CONTEXT, *USER, "title", "subject") or folded(pair[0]) in ASSISTANT):
            return None  # what a question is about or called, or what was asked, is no answer
        return (pair[0], pair[1]) if len(pair) == 2 and shares[pair[0]] >= QUESTIONS and shares[pair[1]] <= FEWER_QUESTIONS else None

    def replied_to(self, answers: list[str]) -> str | None:
        """Return the text that a column of replies answers, where no name says what asks: `message` next to `our_reply`."""
        replies = [name for name in answers if name in self.texts and folded(name) not in NO_REPLIES]
        named = self.named(TEXT, but=answers) or next(iter(name for name in self.ending(TEXT_ENDINGS) if name not in answers), None)
        return named if replies and named in self.texts else None

    def speaker(self) -> str | None:
        """Return the column that says who wrote a dated message, in the log of a chat: a few people who wrote several each."""
        name = self.named(SPEAKERS)
        return name if name and self.time() and self.is_label(name) else None

    def time(self) -> str | None:
        """Return the column of dates with their times, in any form, or of seconds since 1970."""
        return next((name for name in self.names if self.is_time(name)), None)

    def is_time(self, name: str) -> bool:
        """Return whether every value of a column is a date with its time, or seconds since 1970."""
        values = [*map(str, self.values(name))]
        return bool(values) and any(all(map(form, values)) for form in (_TIME.match, _WRITTEN_TIME.fullmatch))

    def holds_several(self, name: str) -> bool:
        """Return whether most cells of a column hold several texts with a `|` between them."""
        values = [str(value) for value in self.values(name)]
        return sum("|" in value and "\n" not in value for value in values) > len(values) / 2

    def holds_turns(self, name: str) -> bool:
        """Return whether most texts of a column have the markers of a chat template, or of who speaks."""
        return have_turns(map(str, self.values(name)))

    def nested_answers(self) -> bool:
        """Return whether a column of answers, such as SQuAD's `answers`, holds lists or objects, and no path leads to what is in them."""
        names = [name for name in self.names if folded(name) in ASSISTANT or folded(name).removesuffix("s") in ASSISTANT]
        return any(isinstance(value, list | dict) for name in names if not is_path(name) for value in self.values(name))

    def is_label(self, name: str) -> bool:
        """Return whether a column has few, repeated values: labels, not measurements or names of rows."""
        values = self.values(name)
        single = [value for value in values if not isinstance(value, list | dict)]
        if len(single) <= len(values) / 2 or sum(bool(_DATE.match(str(value))) for value in single) > len(single) / 2:
            return False
        values = single  # of a row with several labels, none is taken
        if _are_measured(values):
            return False
        enough = len(values) // ROWS_PER_LABEL if len(values) >= 50 else max(len(values) * 4 // 5, 2)
        return 1 < len({str(value) for value in values}) <= min(MAX_LABELS, enough)

    def groups(self, names: Iterable[str], within: str | None = None) -> list[str]:
        """Return the columns that group rows: repeated ids of at least ten groups. Where `within` is the id of the conversation that a row
        is a message of, those that all its messages share: the people of many conversations would join them into one group."""
        found = []
        if within:
            wholes = {str(row.get(within)) for row in self.rows}
            names = [name for name in names if len({(str(row.get(within)), str(row.get(name))) for row in self.rows}) == len(wholes)]
        for name in names:
            values = self.values(name) if GROUP.search(folded(name)) else []
            different = len({str(value) for value in values})
            if len(values) == len(self.rows) and 10 <= different <= 0.9 * len(values):
                found.append(name)
        return found


def have_turns(texts: Iterable[str]) -> bool:
    """Return whether most of the texts have the markers of a chat template, or of who speaks."""
    found = [bool(_TURNS.search(text)) for text in texts]
    return sum(found) > len(found) / 2


def _last_name(name: str) -> str:
    """Return the last part of a path that says what is there: `label` for `responses.label[].value`."""
    parts = [part for part in re.split(r"\.|\[\]", name) if part]
    return folded(next((part for part in reversed(parts) if folded(part) not in _GENERIC), parts[-1]) if parts else name)


def folded(name: str) -> str:
    """Return a column's name, or the last part of a path, without case, spaces, a plural of answers, and a suffix such as `_text`."""
    last = re.split(r"\.(?=\S)", name.replace("[]", ""))[-1]
    plain = re.sub(r"[\s.-]+|(?<=[a-z0-9])(?=[A-Z])", "_", last.strip()).lower()
    plain = re.sub(r"(?<=.)_(?:text|content|str|string)$", "", plain)
    one = plain.removesuffix("s")  # a list of answers is named by several: `human_answers[]`
    return one if name.endswith("[]") and one.rpartition("_")[2] in (*USER, *ASSISTANT) else plain


def _is_code(value: Any) -> bool:
    return isinstance(value, bool | int | float) or str(value).strip().lower() in ("true", "false") or _number(value) is not None


def _are_measured(values: list[Any]) -> bool:
    """Return whether the values are numbers with fractions, and too many to be levels of a scale."""
    numbers = {_number(value) for value in values}
    return len(numbers) > MAX_LEVELS and None not in numbers and any(number % 1 for number in numbers if number is not None)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def words(text: str) -> int:
    """Return the number of words; two characters of a script without spaces count as one."""
    return len(text.split()) + len(_CJK.findall(text)) // 2


def _mean_words(values: list[Any]) -> float:
    texts = [value for value in values if isinstance(value, str)]
    return sum(map(words, texts)) / len(texts) if len(texts) > len(values) / 2 else 0.0
