"""The chats that WhatsApp exports are read in the date forms of its languages; the app's own words are no message."""

import io
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.records import Drop
from recipekit.converters.reading.whatsapp import whatsapp_reader

N, M = "\u202f", "\u200e"  # a narrow space, and the mark before the app's own words
MORNING, EVENING = datetime(2026, 3, 1, 9, 5), datetime(2026, 3, 14, 18, 7)


def read(text):
    reader = whatsapp_reader(text.encode())
    assert reader, "not recognised"
    return [*reader(io.BytesIO(text.encode()), "chat.txt")]


def values(text):
    return [row.value for row in read(text)]


@pytest.mark.parametrize(
    ("morning", "evening"),
    [
        ("01.03.26, 09:05 - ", "14.03.26, 18:07 - "),  # German
        ("3/1/26, 9:05 AM - ", "3/14/26, 6:07 PM - "),  # United States
        (f"3/1/26, 9:05{N}AM - ", f"3/14/26, 6:07{N}PM - "),
        ("01/03/2026, 09:05 - ", "14/03/2026, 18:07 - "),  # United Kingdom
        ("01/03/26, 9:05 am - ", "14/03/26, 6:07 pm - "),  # India
        ("1/3/2026, 9:05 a.\u00a0m. - ", "14/3/2026, 6:07 p.\u00a0m. - "),  # Spanish
        ("01/03/2026 09:05 - ", "14/03/2026 18:07 - "),  # Portuguese
        ("2026-03-01, 9:05 a.m. - ", "2026-03-14, 6:07 p.m. - "),  # Canada
        ("2026-03-01 09:05 - ", "2026-03-14 18:07 - "),  # Swedish
        ("1.3.2026 klo 9.05 - ", "14.3.2026 klo 18.07 - "),  # Finnish
        ("01/03/26 09.05 - ", "14/03/26 18.07 - "),  # Indonesian
        ("2026. 03. 01. 9:05 - ", "2026. 03. 14. 18:07 - "),  # Hungarian
        ("1.03.26 г., 9:05 ч. - ", "14.03.26 г., 18:07 ч. - "),  # Bulgarian
        ("[2026/3/1 上午9:05:00] ", "[2026/3/14 下午6:07:00] "),  # Chinese
        ("2026. 3. 1. 오전 9:05 - ", "2026. 3. 14. 오후 6:07 - "),  # Korean
        ("[01.03.26, 09:05:00] ", "[14.03.26, 18:07:00] "),
        ("[3/1/26, 9:05:00 AM] ", "[3/14/26, 6:07:00 PM] "),
        (f"{M}[01/03/2026, 09:05:00] ", f"{M}[14/03/2026, 18:07:00] "),
        ("[١‏/٣‏/٢٠٢٦، ٩:٠٥:٠٠ ص] ", "[١٤‏/٣‏/٢٠٢٦، ٦:٠٧:٠٠ م] "),  # Arabic
    ],
)
def test_dates_are_read_in_the_forms_of_many_languages(morning, evening):
    assert values(f"{morning}Lena: Hi\n{evening}Tom: Ho: he\n") == [
        {"from": "Lena", "date": MORNING.isoformat(), "text": "Hi"},
        {"from": "Tom", "date": EVENING.isoformat(), "text": "Ho: he"},
    ]


@pytest.mark.parametrize(
    ("dates", "month"),
    [(["01/02/26, 09:05", "01/13/26, 09:05"], 1), (["03/02/26, 09:05", "04/01/26, 09:05"], 3),
     (["01/02/26, 9:05 PM"], 1), (["01/02/26, 9:05 pm"], 2)],
)  # fmt: skip
def test_the_order_of_a_date_is_that_in_which_messages_follow_each_other(dates, month):
    """Where several do, the way in which the time is written decides: capitals are those of the United States."""
    rows = values("".join(f"{date} - Lena: Hi\n" for date in dates))
    assert datetime.fromisoformat(rows[0]["date"]).month == month


def test_lines_without_a_date_continue_the_message():
    text = "01.03.26, 09:05 - Lena: One\n\n two: 3\n[x] 5\n01.03.26, 09:06 - Tom: Yes\n"
    assert [value["text"] for value in values(text)] == ["One\n\n two: 3\n[x] 5", "Yes"]


@pytest.mark.parametrize(
    ("message", "text", "notice"),
    [
        ("<Media omitted>", "", "<Media omitted>"),
        ("<Medien ausgeschlossen>\nIMG 7.pdf", "", "<Medien ausgeschlossen>\nIMG 7.pdf"),
        (f"{M}IMG-1.jpg (file attached)\nLook at this", "Look at this", "IMG-1.jpg (file attached)"),
        ("a.mod (Datei angehängt)\na.mod", "", "a.mod (Datei angehängt)\na.mod"),
        ("This message was deleted", "", "This message was deleted"),
        ("This message was deleted by mistake", "This message was deleted by mistake", None),
        ("Yes. <This message was edited>", "Yes.", "<This message was edited>"),
        ("Write List<String> or <br>", "Write List<String> or <br>", None),
    ],
)
def test_what_the_app_writes_is_kept_apart(message, text, notice):
    (value,) = values(f"01.03.26, 09:05 - Lena: {message}\n")
    assert (value["text"], value.get("notice")) == (text, notice)


APPS_OWN = [
    *("Diese Nachricht wurde gelöscht.", "Du hast diese Nachricht gelöscht.", "Bild weggelassen", "<Medien ausgeschlossen>"),
    *("Se eliminó este mensaje.", "Eliminaste este mensaje.", "imagen omitida", "<Multimedia omitido>"),
    *("Ce message a été supprimé", "Vous avez supprimé ce message", "image absente", "<Médias omis>"),
    *("Questo messaggio è stato eliminato", "Hai eliminato questo messaggio", "immagine omessa", "<Media omessi>"),
    *("Mensagem apagada", "Esta mensagem foi apagada.", "Você apagou esta mensagem", "imagem não revelada", "<Arquivo de mídia oculto>"),
    *("Dit bericht is verwijderd.", "U hebt dit bericht verwijderd", "afbeelding weggelaten", "<Media weggelaten>"),
    *("Данное сообщение удалено", "Вы удалили данное сообщение", "изображение отсутствует", "<Без медиафайлов>"),
    *("Bu mesaj silindi", "Bu mesajı sildiniz", "görüntü dahil edilmedi", "<Medya dahil edilmedi>"),
    *("这条消息已被删除。", "您已删除这条消息", "此訊息已刪除", "<省略多媒体文件>"),
    *("このメッセージは削除されました。", "このメッセージを削除しました", "이 메시지는 삭제되었습니다", "삭제한 메시지입니다"),
    *("यह मैसेज डिलीट कर दिया गया है", "यह संदेश मिटाया गया", "تم حذف هذه الرسالة", "\u200fأنت حذفت هذه الرسالة"),
    *("Waiting for this message. This may take a while.", "Missed voice call", "Verpasster Videoanruf"),
    *("This message was deleted by admin Lena", "Diese Nachricht wurde von Admin Max gelöscht.", "VIDEO OMITTED"),
]


@pytest.mark.parametrize("message", APPS_OWN)
def test_the_apps_own_words_are_known_in_many_languages(message):
    (value,) = values(f"01.03.26, 09:05 - Lena: {message}\n")
    assert value["text"] == "" and value["notice"] == message.replace("\u200f", "")


@pytest.mark.parametrize(
    "message",
    ["Diese Nachricht wurde gelöscht, oder?", "Bu mesaj silindi mi?", "消息已删除了吗", "Video omitted\nbut why?", "Bild", "admin"],
)
def test_a_message_about_a_deleted_one_is_a_message(message):
    (value,) = values(f"01.03.26, 09:05 - Lena: {message}\n")
    assert value == {"from": "Lena", "date": "2026-03-01T09:05:00", "text": message}


def test_marks_tell_what_an_iphone_writes():
    messages = [f"{M}image omitted", f"Menu.pdf • {M}2 pages {M}document omitted", f"Look {M}<attached: 1.jpg>", "Hi"]
    rows = values("".join(f"[01.03.26, 09:05:0{n}] ~{N}Lena: {text}\n" for n, text in enumerate(messages)))
    assert [(row["from"], row["text"]) for row in rows] == [("Lena", ""), ("Lena", ""), ("Lena", "Look"), ("Lena", "Hi")]


def test_an_announcement_has_no_speaker():
    assert values("01.03.26, 09:05 - Lena: Hi\n01.03.26, 09:06 - Tom left\n")[1] == {"date": "2026-03-01T09:06:00", "notice": "Tom left"}


def test_what_is_no_message_is_dropped_with_its_line():
    """A line that cannot be read may belong to the message above it."""
    days = ["01", "31", "01", "01"]
    said = ["Lena: Hi", "Tom: Ho", "Tom: Ha\na\0b\nlost", "Tom: He"]
    found = read("".join(f"{day}.02.26, 09:05 - {what}\n" for day, what in zip(days, said, strict=True)))
    drops = [(item.row.line, item.reason) for item in found if isinstance(item, Drop)]
    assert drops == [(2, "no_time"), (3, "nul_byte"), (5, "no_message")] and len(found) == 5


@pytest.mark.parametrize(
    "text", ["Hello\n", "2026-03-01 a log\n", "01.03.26, 09:05 - Tom left\n", "[1, 2]\n", '{"a": "01.03.26, 09:05 - Lena: Hi"}\n', ""]
)
def test_other_texts_are_not_taken_for_it(text):
    assert whatsapp_reader(text.encode()) is None


WORDS = st.from_regex(r"[a-z]{1,6}(?:[ \n:.<>\[\]-]{1,3}[a-z]{1,6}){0,4}", fullmatch=True)


@given(st.lists(st.tuples(st.sampled_from(["Lena", "Tom", ""]), WORDS), min_size=1))
def test_every_word_is_in_a_row(said):
    text = "01.03.26, 09:00 - Lena: first\n" + "".join(
        f"01.03.26, 09:{n % 60:02} - {name}{': ' * bool(name)}{what}\n" for n, (name, what) in enumerate(said)
    )
    found = " ".join(f"{value.get('from', '')} {value.get('text', '')} {value.get('notice', '')}" for value in values(text))
    assert set(re.findall(r"[a-z]+", text)) <= set(re.findall(r"[a-z]+", found))
