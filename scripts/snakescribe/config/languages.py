"""The languages Whisper knows (a test compares them with openai-whisper's own table)."""

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
