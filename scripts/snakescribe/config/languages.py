"""The languages Whisper knows (a test compares them with openai-whisper's own table)."""

import unicodedata

LANGUAGES: dict[str, str] = {
    code: name.replace("_", " ")
    for code, name in (
        pair.split()
        for pair in """
    en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese, pt
    portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian, id
    indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay, cs
    czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu, hr croatian,
    bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak, te telugu, fa
    persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada, et estonian,
    mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian,
    kk kazakh, sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn
    shona, yo yoruba, so somali, af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd
    sindhi, gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian_creole, ps
    pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar, bo tibetan,
    tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir, jw
    javanese, su sundanese, yue cantonese
    """.split(",")
    )
}
"""English name by code, in Whisper's order."""
DETECTED = ("auto", "mixed")
"""Values of the option ``language`` that leave it to the model: once for a recording, or for every window of it."""


def spoken_language(option: str) -> tuple[str | None, bool]:
    """What a value of the option ``language`` means: the code, or None to detect it; and whether languages are mixed.

    >>> spoken_language("ko"), spoken_language("auto"), spoken_language("mixed")
    (('ko', False), (None, False), (None, True))
    """
    return None if option in DETECTED else option, option == "mixed"


_ISO_639_2 = """
en eng, zh zho chi cmn, de deu ger, es spa, ru rus, ko kor, fr fra fre, ja jpn, pt por, tr tur, pl pol, ca cat, nl nld
dut, ar ara, sv swe, it ita, id ind in, hi hin, fi fin, vi vie, he heb iw, uk ukr, el ell gre, ms msa may, cs ces cze,
ro ron rum, da dan, hu hun, ta tam, no nor nob nb, th tha, ur urd, hr hrv, bg bul, lt lit, la lat, mi mri mao, ml mal,
cy cym wel, sk slk slo, te tel, fa fas per, lv lav, bn ben, sr srp, az aze, sl slv, kn kan, et est, mk mkd mac, br
bre, eu eus baq, is isl ice, hy hye arm, ne nep, mn mon, bs bos, kk kaz, sq sqi alb, sw swa, gl glg, mr mar, pa pan,
si sin, km khm, sn sna, yo yor, so som, af afr, oc oci, ka kat geo, be bel, tg tgk, sd snd, gu guj, am amh, yi yid ji,
lo lao, uz uzb, fo fao, ht hat, ps pus, tk tuk, nn nno, mt mlt, sa san, lb ltz, my mya bur, bo bod tib, tl tgl fil, mg
mlg, as asm, tt tat, haw haw, ln lin, ha hau, ba bak, jw jav jv, su sun, yue yue
"""
"""Whisper's code, then those of ISO 639-2 and 639-3, which media files carry, and others of two letters (BCP 47)."""
_BY_ISO = {iso: code for line in _ISO_639_2.split(",") for code, *isos in [line.split()] for iso in isos}


_OTHER_NAMES = {"mandarin": "zh", "castilian": "es", "flemish": "nl", "valencian": "ca", "burmese": "my"}
_EAST_ASIAN = (
    "ko 한국어 韓国語 韩语, ja 일본어 日本語 日语, zh 중국어 中国語 中文 汉语 漢語, en 영어 英語 英语, yue 粤语 粵語"
)
_OTHER_NAMES |= {name: code for line in _EAST_ASIAN.split(",") for code, *names in [line.split()] for name in names}
_BY_NAME = _OTHER_NAMES | {name: code for code, name in LANGUAGES.items()}


def as_written(language: str) -> str | None:
    """Whisper's code (or ``auto``, ``mixed``) for a language as people and programs write it; None if it is none.

    >>> [as_written(one) for one in ("ko-KR", "Korean", "kor", "한국어", "zh_TW", "klingon")]
    ['ko', 'ko', 'ko', 'ko', 'zh', None]
    """
    word = unicodedata.normalize("NFC", language).strip().lower()
    return word if word in DETECTED else code_of(word) or _BY_NAME.get(word.replace("_", " "))


def code_of(language: str | None) -> str | None:
    """Whisper's code for a language as a media file names it; None for one that Whisper does not know.

    >>> code_of("kor"), code_of("ger"), code_of("ko-KR"), code_of("nb-NO"), code_of("und"), code_of(None)
    ('ko', 'de', 'ko', 'no', None, None)
    """
    word = (language or "").lower().replace("_", "-").split("-")[0]
    return word if word in LANGUAGES else _BY_ISO.get(word)


def iso_639_3(code: str | None) -> str:
    """The code of three letters for one of Whisper's; ``und`` (undetermined) for none.

    >>> iso_639_3("ko"), iso_639_3("no"), iso_639_3(None)
    ('kor', 'nor', 'und')
    """
    return next((iso for iso, whispers in _BY_ISO.items() if whispers == code), "und")
