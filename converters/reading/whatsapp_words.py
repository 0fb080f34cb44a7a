"""What WhatsApp writes in place of a message, in the language of the phone: that it was deleted or is yet to come, that a call was missed,
or that its photo or file was left out.

Old and new words of the app for Android and for iPhone. Android writes `<...>` for what was left out, and an iPhone marks its words with an
invisible character; the words count here for exports without these marks.
"""

import re
from unicodedata import normalize

_DELETED = """
en this message was deleted|you deleted this message
de diese nachricht wurde gelöscht|du hast diese nachricht gelöscht
es se eliminó este mensaje|este mensaje fue eliminado|eliminaste este mensaje
fr ce message a été supprimé|vous avez supprimé ce message
it questo messaggio è stato eliminato|hai eliminato questo messaggio
pt mensagem apagada|essa mensagem foi apagada|esta mensagem foi apagada|esta mensagem foi apagada pelo remetente
pt você apagou esta mensagem|você apagou essa mensagem|apagou esta mensagem
nl dit bericht is verwijderd|je hebt dit bericht verwijderd|u hebt dit bericht verwijderd
sv det här meddelandet raderades|detta meddelande raderades|du raderade det här meddelandet|du raderade detta meddelande
da denne besked blev slettet|denne besked er blevet slettet|du slettede denne besked|du har slettet denne besked
nb denne meldingen ble slettet|du slettet denne meldingen
fi tämä viesti poistettiin|poistit tämän viestin
pl ta wiadomość została usunięta|usunąłeś(-ęłaś) tę wiadomość|usunąłeś(aś) tę wiadomość
cs tato zpráva byla smazána|tato zpráva byla odstraněna|tuto zprávu jste smazal/a|tuto zprávu jste odstranil/a
hu ez az üzenet törlésre került|ezt az üzenetet törölted|törölted ezt az üzenetet
ro acest mesaj a fost șters|ați șters acest mesaj
el αυτό το μήνυμα διαγράφηκε|διαγράψατε αυτό το μήνυμα|διαγράψατε το μήνυμα
ru данное сообщение удалено|это сообщение было удалено|вы удалили данное сообщение|вы удалили это сообщение
uk це повідомлення було видалено|ви видалили це повідомлення
tr bu mesaj silindi|bu mesajı sildiniz
ar تم حذف هذه الرسالة|لقد حذَفت هذه الرسالة|أنت حذفت هذه الرسالة
he הודעה זו נמחקה|מחקת את ההודעה הזו|מחקת הודעה זו
fa این پیام حذف شد|این پیام حذف شده است|شما این پیام را حذف کردید
ur یہ میسج حذف کر دیا گیا ہے|یہ پیغام حذف کیا گیا|آپ نے یہ میسج حذف کر دیا ہے|آپ نے اس پیغام کو حذف کیا
hi यह मैसेज डिलीट कर दिया गया है|यह मैसेज मिटाया गया|यह संदेश मिटाया गया|आपने यह मैसेज डिलीट किया|आपने यह संदेश मिटाया
bn এই মেসেজটি বাদ দেওয়া হয়েছে|এই বার্তাটি মুছে ফেলা হয়েছে|আপনি এই মেসেজটি বাদ দিয়েছেন|আপনি এই বার্তাটি মুছে ফেলেছেন
id pesan ini dihapus|pesan ini telah dihapus|anda menghapus pesan ini|anda telah menghapus pesan ini
vi tin nhắn này đã bị xóa|tin nhắn này đã bị xoá|bạn đã xóa tin nhắn này|bạn đã xoá tin nhắn này
th ข้อความนี้ถูกลบแล้ว|ข้อความนี้ได้ถูกลบ|คุณได้ลบข้อความนี้|คุณลบข้อความนี้
zh 这条消息已被删除|消息已删除|信息已删除|您已删除这条消息|您删除这个信息|此訊息已刪除|您已刪除此訊息
ja このメッセージは削除されました|このメッセージを削除しました
ko 이 메시지는 삭제되었습니다|이 메시지를 삭제했습니다|삭제한 메시지입니다|삭제된 메시지입니다
"""
_LEFT_OUT = """
en waiting for this message|waiting for this message. this may take a while|missed voice call|missed video call
en missed group voice call|missed group video call
de verpasster sprachanruf|verpasster videoanruf
en image omitted|video omitted|video note omitted|audio omitted|sticker omitted|gif omitted|document omitted|contact card omitted
de bild weggelassen|video weggelassen|videonachricht weggelassen|audio weggelassen|sticker weggelassen|gif weggelassen|dokument weggelassen
de kontaktkarte weggelassen|kontaktkarte ausgelassen
es imagen omitida|video omitido|audio omitido|sticker omitido|gif omitido|documento omitido|tarjeta de contacto omitida
fr image absente|vidéo absente|audio omis|sticker omis|gif retiré|document manquant|fiche contact manquante
it immagine omessa|video omesso|audio omesso|sticker non incluso|gif esclusa|documento omesso|scheda contatto omessa
pt imagem ocultada|vídeo omitido|áudio ocultado|figurinha omitida|gif omitido|documento omitido|cartão do contato omitido
pt imagem não revelada|vídeo não revelado|ficheiro de áudio não revelado|sticker não revelado|gif não revelada|documento não revelado
nl afbeelding weggelaten|video weggelaten|audio weggelaten|sticker weggelaten|gif weggelaten|document weggelaten
ru изображение отсутствует|видео отсутствует|аудио отсутствует|аудиофайл отсутствует|стикер не добавлен|gif отсутствует|документ отсутствует
uk зображення відсутнє|відео відсутнє|аудіо відсутнє|наклейку не додано|gif-анімацію пропущено|документ пропущено
cs obrázek vynechán|video vynecháno|nálepka vynechána|gif vynechán|dokument vynechán
tr görüntü dahil edilmedi|video dahil edilmedi|ses dahil edilmedi|çıkartma dahil edilmedi|gif dahil edilmedi|belge dahil edilmedi
ar لم يتم إدراج الصورة|لم يتم إدراج الفيديوهات|لم يتم إدراج المقاطع الصوتية|لم يتم إدراج المستند|تم حذف الملصقات
"""
_WORDS = {
    normalize("NFC", words) for table in (_DELETED, _LEFT_OUT) for line in table.strip().splitlines() for words in line[3:].split("|")
}
_BY_ADMIN = re.compile(
    r"this message was deleted by (?:an )?admin(?: [^.:?!]{1,80})?|diese nachricht wurde von admin [^.:?!]{1,80} gelöscht|"
    r"un admin\., [^.,:?!]{1,80}, eliminó este mensaje|данное сообщение удалено админом(?: \([^().:?!]{1,80}\))?"
)


def is_apps_own(text: str) -> bool:
    """Return whether the app wrote this instead of a message, as text without invisible marks."""
    words = normalize("NFC", text).strip(" .。।۔").lower()
    return words in _WORDS or bool(_BY_ADMIN.fullmatch(words))
