"""List ways to read plain text: as the log of a messenger, as texts between separators, paragraphs, lines or files."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from ...converters.reading.files import SourceFile
from ...converters.sources.registry import CONVERTERS, converter, recognise_text
from ...schemas.base.errors import Location, Problem, UserError
from .candidate import ENOUGH_OF_ONE_FORM, Candidate
from .chat_logs import logs_of_text
from .columns import ROWS_PER_LABEL, have_turns, words

HEAD = 1 << 16
LINES_PER_PARAGRAPH = 20  # with more, blank lines do not separate paragraphs
_TIME = r"(?:\[?\d[\d/.,: \u202f-]{3,30}(?:[AP]M)?\]?[ -]*)?"  # before the speaker, in the export of a messenger
# `Ann: Hi`, `<ann> Hi` of IRC, or a line of LINE with tabs.
_SPEAKER = re.compile(_TIME + r"(?:[\W_]*([^\W\d][\w .'-]{0,30}?)[*_]*[:：][*_]*(?:\s|$)|<[ @+%&~]?([^\s<>]{1,30})> |\t([^\t]{1,30})\t)")
_FRONT_MATTER = re.compile(rb"---[ \t]*\r?\n(?:[\w-]+:|[ \t#-]).*\n(?:.*\n){0,200}?---[ \t]*\r?\n")
_SEPARATOR = re.compile(rb"<\|end_?of_?text\|>")  # between the texts of TinyStories and of other corpora in one file
FILES = 20  # looked at for front matter
FOLDERS = 20  # more folders are topics or dates, not labels
SURE = 0.95  # share of the lines
_MANY = 10_000  # different cells, where most are: nearly all lines have to be like it
_JOIN = "only whole texts have labels here: join the words of a sentence, and leave the tags out"
# A line, how many different labels such lines have at most, what they are, and what to do, or the sed command that writes them as a table.
_LABELLED_LINES = (
    (re.compile(rb"(__label__\S+).*"), None, "begin with labels in the form of fastText", r"s/^__label__\([^ ]*\) */\1\t/"),
    (re.compile(rb"(\d|[A-Z]{2,}:[a-z]+) .*"), 50, "begin with labels", r"s/ /\t/"),
    (re.compile(rb".*@([a-z]+)"), 10, "end with labels after @", r"s/\(.*\)@\(.*\)/\2\t\1/"),
    (re.compile(rb"([A-Za-z_]\w*)\s*[,;|\t]\s*\S.*"), 10, "begin with labels", r"s/ *[,;|] */\t/"),
    (re.compile(rb"(?:\S+/[A-Z.,:$]{1,5}\s+){2,}(\S+/[A-Z.,:$]{1,5})"), None, "are words with their tags", _JOIN),
    (re.compile(rb"(\d+(?:[-.]\d+)?)(?:\t[^\t]*){9}"), None, "are words with their tags, as CoNLL-U has them", _JOIN),
    (re.compile(rb".*\s(O|[BIES]-[A-Z]\w*)"), 50, "are words with their tags, as CoNLL has them", _JOIN),
    (re.compile(rb".*(\+\+\+\$\+\+\+|\|\|\||\x01).*"), None, "have cells with +++$+++, ||| or a control character between them",
     r"s/ *\(+++$+++\||||\|\x01\) */\t/g"),
    (re.compile(rb"(.+?)(?:(?<!:)::(?!:)|(?<=\S)~(?=\S)).*"), _MANY, "have cells with :: or ~ between them", r"s/::\|~/\t/g"),
    (re.compile(rb"(\".*\" \".*\"|'.*',\s?'.*')"), _MANY, "have cells in quotes",
     "write them as CSV: a comma between two cells, and quotes (\") around those that hold one"),
    (re.compile(rb"(\S.*?\S) {3,}\S.*"), _MANY, "have cells with blanks between them",
     "write them as a table with a tab or a comma between two cells"),
)  # fmt: skip
SPEAKERS, SPOKEN = 6, 0.4  # a dialogue: at most so many names start at least this share of the lines


def text_candidates(files: list[SourceFile]) -> Iterator[Candidate]:
    """Yield the candidates for files without rows: plain text."""
    head = head_of(files[0])
    yield from logs_of_text(head)
    suffixes = {file.path.suffix for file in files}
    for name in CONVERTERS:
        if why := recognise_text(name, head, suffixes):
            yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    lines = [line.strip() for line in head.decode("utf-8", "replace").strip().splitlines()]
    filled = [line for line in lines if line]
    if not filled or sum(map(words, filled)) < 2 * len(filled):
        return  # a list of names or labels
    options = {"front_matter": False} if all(_has_front_matter(file) for file in files[:FILES]) else {}
    without = ", without its front matter" if options else ""
    spoken = _spoken(filled)
    if found := _SEPARATOR.search(head):
        separator = found.group().decode()
        yield Candidate("text", "text", {"separators": [separator], **options}, f"plain text{without}, texts between {separator}")
    elif len(files) > 1 or len(filled) == 1:
        if labels := _folders(files):
            yield Candidate("text", "classification", options, f"the files' folders are their labels: {', '.join(labels)}", doubt=True)
        yield Candidate("text", "text", options, f"plain text{without}, one document per file{spoken}", doubt=True)
    elif options:
        yield Candidate("text", "text", options, f"plain text{without}")
    elif 0 < lines.count("") and len(filled) / lines.count("") <= LINES_PER_PARAGRAPH:
        yield Candidate("text", "text", {"sample_by": "paragraph"}, f"plain text, paragraphs between blank lines{spoken}")
    else:
        yield Candidate("text", "text", {"sample_by": "line"}, f"plain text, one record per line{spoken}")


def _folders(files: list[SourceFile]) -> list[str]:
    """Return the names of the folders if they may be labels: few, side by side, each with several files."""
    folders = Counter(PurePath(file.name).parent for file in files)
    side_by_side = len({folder.parent for folder in folders}) == 1 and PurePath() not in folders
    few = 1 < len(folders) <= FOLDERS and min(folders.values()) >= ROWS_PER_LABEL
    return sorted(folder.name for folder in folders) if side_by_side and few else []


def _has_front_matter(file: SourceFile) -> bool:
    return bool(_FRONT_MATTER.match(head_of(file)))


def _spoken(lines: list[str]) -> str:
    """Return a note if the lines are a conversation, which would be trained as plain text."""
    names = Counter(found[found.lastindex or 0].strip() for line in lines if (found := _SPEAKER.match(line)))
    names = Counter({name: lines for name, lines in names.items() if lines > 1})
    if not 2 <= len(names) <= SPEAKERS or names.total() < SPOKEN * len(lines):
        return " (with the turns of chats: to train the replies alone, write them as lists of messages)" if have_turns(lines) else ""
    return f" (a conversation of {' and '.join(sorted(names))}: to train replies, write its turns as a list of messages)"


def head_of(file: SourceFile) -> bytes:
    """Return the first bytes of the file."""
    with Path(file.path).open("rb") as stream:
        return stream.read(HEAD)


def refuse_labelled_lines(path: str, head: bytes) -> None:
    """Raise UserError for lines with a label, a tag or several cells, which would be trained as words of the text."""
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    for pattern, most, what, how in _LABELLED_LINES:
        found = [match[1] for line in lines if (match := pattern.fullmatch(line))]
        if len(found) > len(lines) / 2 and (most is None or len(found) >= SURE * len(lines) and 1 < len({*found}) <= most):
            hint = f"write them as a table (sed '{how}' FILE > rows.tsv) and name its columns, such as --column label --column text"
            hint = hint if how.startswith("s/") else how
            raise UserError(Problem(Location(path, 1), f"its lines {what}", hint, "unknown-data"))
