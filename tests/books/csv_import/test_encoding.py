# ruff: noqa: RUF001 - text in many scripts is what these tests are about
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.csv_import.encoding import decode
from shelfwire.books.csv_import.problems import UnreadableCsv

JAPANESE = "タイトル,著者,評価\n吾輩は猫である,夏目漱石,5\nノルウェイの森,村上春樹,4\n"
CHINESE = "書名,作者\n紅樓夢,曹雪芹\n西遊記,吳承恩\n"
SIMPLIFIED = "书名,作者\n三体,刘慈欣\n活着,余华\n"
KOREAN = "제목,저자\n채식주의자,한강\n소년이 온다,한강\n"
RUSSIAN = "Название,Автор\nВойна и мир,Лев Толстой\n"
FRENCH = "Titre;Auteur;Statut\nL’étranger;Camus Albert;À lire\nLes Misérables;Hugo Victor;Lu\n"
POLISH = "Tytuł;Autor\nKrew elfów;Andrzej Sapkowski\nLalka;Bolesław Prus\nChcę przeczytać;Świetna książka\n"
CZECH = "Název;Autor\nBílá nemoc;Karel Čapek\nŽert;Milan Kundera\nKůň a jeho chlapec;přečteno\nBěs;Jaroslav Hašek\n"
HUNGARIAN = "Cím;Szerző\nA fűben fekvő;Szabó Lőrinc\nSorstalanság;Kertész Imre\nAz ember tragédiája;Madách\n"
ROMANIAN = "Titlu;Autor\nEnigma Otiliei;George Călinescu\nPădurea spânzuraţilor;Liviu Rebreanu\nBalada;Şerban\n"
TURKISH = "Kitap Adı;Yazar\nİnce Memed;Yaşar Kemal\nBenim Adım Kırmızı;Orhan Pamuk\nÇalıkuşu;Reşat Dağlı\n"
GREEK = "Τίτλος;Συγγραφέας\nΖορμπάς;Νίκος Καζαντζάκης\n"
HEBREW = "שם הספר;מחבר\nסיפור על אהבה וחושך;עמוס עוז\n"
ARABIC = "العنوان;المؤلف\nموسم الهجرة إلى الشمال;الطيب صالح\n"
GERMAN = "Titel;Autor\nKrabat;Otfried Preußler\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "utf-8"),
        (FRENCH, "utf-8-sig"),
        (FRENCH, "cp1252"),
        (FRENCH, "mac_roman"),
        (GERMAN, "cp1252"),
        (JAPANESE, "cp932"),
        (JAPANESE, "utf-16"),
        (JAPANESE, "utf-32"),
        (JAPANESE, "utf-16-le"),
        (CHINESE, "utf-16-be"),
        (CHINESE, "big5"),
        (SIMPLIFIED, "gb18030"),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        (POLISH, "cp1250"),
        (CZECH, "cp1250"),
        (HUNGARIAN, "cp1250"),
        (ROMANIAN, "cp1250"),
        (TURKISH, "cp1254"),
        (GREEK, "cp1253"),
        (HEBREW, "cp1255"),
        (ARABIC, "cp1256"),
        ("Title,Author\nDune,Frank Herbert\n", "utf-16-le"),
        ("Title,Author\nDune,Frank Herbert\n", "utf-16-be"),
    ],
)
def test_a_list_is_decoded_whatever_its_encoding(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == (text, encoding)


def test_a_single_umlaut_is_not_taken_for_a_sign_of_the_macintosh() -> None:
    text = "Autor;Titel;gelesen\nMann, Thomas;Der Zauberberg;März 2017\nZeh, Juli;Unterleuten;Sommer 2019\n"
    assert decode(text.encode("cp1252")) == (text, "cp1252")


@pytest.mark.parametrize("text", ["Title\nCafé\n", "Title,Author\nDune,Frank Herbert\nNaïve,José\n"])
def test_a_single_accent_in_an_english_list_is_not_taken_for_russian(text: str) -> None:
    assert decode(text.encode("cp1252")) == (text, "cp1252")


@pytest.mark.parametrize(
    "names",
    [
        "Molière\nGarcía Márquez\nRubén Darío\nSøren Kierkegaard\nLa Cène\n",
        "Ernesto Sábato\nHeinrich Böll\nJosé Díaz\nUn niño\nDie große Welle\nGöran\n",
        "João Guimarães\nNoémie\nFlaubert, Madame Bovary, goût\nÉmile Zola\n",
    ],
)
def test_names_of_several_countries_of_the_west_are_not_taken_for_those_of_one_in_the_east(names: str) -> None:
    assert decode(names.encode("cp1252")).text == names


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_tells_the_order(mark: bytes) -> None:
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    assert decode(mark + "Title\nDune\n".encode(encoding)).text == "Title\nDune\n"


def test_accents_far_down_a_long_file_are_found() -> None:
    text = "Dune,Frank Herbert\n" * 20_000 + FRENCH
    assert decode(text.encode("cp1252")) == (text, "cp1252")


def test_a_long_line_of_two_byte_characters_is_sampled_between_characters() -> None:
    text = "吾輩は猫である,夏目漱石," * 5_000
    assert decode(text.encode("cp932")) == (text, "cp932")


def test_a_long_line_without_any_delimiter_is_decoded() -> None:
    text = "a" * 40_000 + "é" * 3
    assert decode(text.encode("cp1252")).text.startswith("aaa")


def test_bytes_that_no_encoding_knows_are_replaced() -> None:
    text = decode(b"Title\nCaf\xe9 \x81\x8d\x8f\x90\x9d na\xefve\n").text
    assert text.startswith("Title\nCaf")


def test_a_utf_8_file_with_a_damaged_character_stays_utf_8() -> None:
    damaged = ("Title,Author\n" + "Les Misérables,Hugo\n" * 30).encode() + b"Caf\xe9\n"
    decoded = decode(damaged)
    assert decoded.encoding == "utf-8"
    assert decoded.text.endswith("Les Misérables,Hugo\nCaf\ufffd\n")


def test_a_damaged_character_far_down_does_not_change_the_encoding() -> None:
    decoded = decode(JAPANESE.encode("cp932") * 1_000 + b"\x82")
    assert decoded.encoding == "cp932"
    assert decoded.text == JAPANESE * 1_000 + "\ufffd"


def test_an_upload_cut_within_a_character_is_read_up_to_there() -> None:
    assert decode("Title\nDune\n".encode("utf-16") + b"\x41").text.startswith("Title\nDune\n")


def test_nuls_and_byte_order_marks_are_no_part_of_the_text() -> None:
    assert decode(b"Title,Author\nDune\0,Frank Herbert\nEmma,Jane Austen\n").text.count("\0") == 0
    assert decode("\ufeff\ufeffTitle\n".encode()).text == "Title\n"


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
def test_every_line_ending_becomes_a_line_feed(ending: str) -> None:
    assert decode(f"Title{ending}Dune{ending}".encode()).text == "Title\nDune\n"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG picture"),
        (b"GIF89a", "GIF picture"),
        (b"%PDF-1.7\n", "PDF document"),
        (b"\x1f\x8b\x08\0", "gzip archive"),
        (b"PK\x03\x04....xl/workbook.xml", "Excel workbook"),
        (b"PK\x03\x04..mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "OpenDocument"),
        (b"PK\x03\x04..books.csv", "ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
        (b"\0\0\0\x18ftypheic", "photo"),
        (b"RIFF\0\0\0\0WEBPVP8", "photo"),
        (b"  <!DOCTYPE html><html>", "web page"),
        (b'[{"title": "Dune"}]', "JSON"),
        (bytes(range(256)) * 20, "not a text file"),
        (bytes([1, 2, 3, 4, 5]) * 100, "not a text file"),
    ],
)
def test_what_is_no_csv_is_named_with_advice(data: bytes, what: str) -> None:
    with pytest.raises(UnreadableCsv, match=what) as refused:
        decode(data)
    assert "import" in str(refused.value)


def test_an_excel_workbook_is_to_be_saved_as_csv() -> None:
    with pytest.raises(UnreadableCsv, match="Save it as CSV in your spreadsheet program"):
        decode(b"PK\x03\x04....xl/workbook.xml")


def test_an_empty_file_is_empty_text() -> None:
    assert decode(b"") == ("", "utf-8")


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-16-le", "replace")))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        text = decode(data).text
    except UnreadableCsv:
        return
    assert "\0" not in text
    assert "\r" not in text
    assert text.encode().decode() == text


def test_a_byte_that_windows_1252_does_not_have_speaks_for_another_encoding() -> None:
    text = "Názov;Autor;Prečítané\nRivers of Babylon;Peter Pišťanek;3.5.2019\n"
    assert decode(text.encode("cp1250")) == (text, "cp1250")
