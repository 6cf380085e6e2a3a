"""Files without a header, as telephone systems write them: what is in one, only its extension can say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple


class RawCodec(NamedTuple):
    """A way to write sound without a header."""

    name: str
    """ffmpeg's name of the codec, for the tables."""
    reading: Mapping[str, Any]
    """Options of ffmpeg that read it."""
    bits: float
    """Per sample (and channel)."""
    rate: int | None = None
    """Hz, where the codec knows only one."""
    channels: bool = False
    """There may be more than one."""


_PCM = {"s8": 8, "u8": 8, "s16le": 16, "s16be": 16, "s24le": 24, "s24be": 24, "s32le": 32, "f32le": 32}

CODECS: dict[str, RawCodec] = {
    "mulaw": RawCodec("pcm_mulaw", {"f": "mulaw"}, 8, channels=True),
    "alaw": RawCodec("pcm_alaw", {"f": "alaw"}, 8, channels=True),
    **{name: RawCodec(f"pcm_{name}", {"f": name}, bits, channels=True) for name, bits in _PCM.items()},
    "oki": RawCodec("adpcm_ima_oki", {"f": "u8", "c:a": "adpcm_ima_oki"}, 4),
    "g722": RawCodec("adpcm_g722", {"f": "g722"}, 4, 16_000),
    "g723": RawCodec("g723_1", {"f": "g723_1"}, 24 * 8 / 240, 8000),
    "g726-16": RawCodec("adpcm_g726le", {"f": "g726le", "code_size": 2}, 2, 8000),
    "g726-24": RawCodec("adpcm_g726le", {"f": "g726le", "code_size": 3}, 3, 8000),
    "g726-32": RawCodec("adpcm_g726le", {"f": "g726le", "code_size": 4}, 4, 8000),
    "g726-40": RawCodec("adpcm_g726le", {"f": "g726le", "code_size": 5}, 5, 8000),
    "g726be-16": RawCodec("adpcm_g726", {"f": "g726", "code_size": 2}, 2, 8000),
    "g726be-24": RawCodec("adpcm_g726", {"f": "g726", "code_size": 3}, 3, 8000),
    "g726be-32": RawCodec("adpcm_g726", {"f": "g726", "code_size": 4}, 4, 8000),
    "g726be-40": RawCodec("adpcm_g726", {"f": "g726", "code_size": 5}, 5, 8000),
    "g729": RawCodec("g729", {"f": "g729"}, 1, 8000),
    "gsm": RawCodec("gsm", {"f": "gsm"}, 33 * 8 / 160, 8000),
    "ilbc": RawCodec("ilbc", {"f": "ilbc"}, 50 * 8 / 240, 8000),
}
"""By their names in ``audio.raw``. The codes of G.726 are packed from the low bits on (RFC 3551, section 4.5.4), with
``be`` from the high ones (ITU-T I.366.2, AAL2). ``oki`` is the ADPCM of Dialogic's cards, read as if it were PCM of
8 bits: ffmpeg's demuxer only cuts the file into pieces, and counts time by the codec's bits. iLBC is that of 30 ms
frames."""


class RawFormat(NamedTuple):
    """What is in a file without a header."""

    codec: str
    """Of :data:`CODECS`."""
    rate: int
    """Hz."""
    channels: int = 1

    @property
    def name(self) -> str:
        """Ffmpeg's name of the codec."""
        return CODECS[self.codec].name

    @property
    def reading(self) -> dict[str, Any]:
        """Options of ffmpeg that read it; nothing else may be found in the file."""
        codec = CODECS[self.codec]
        given = {} if codec.rate else {"ar": self.rate, "ac": self.channels}
        return {"format_whitelist": codec.reading["f"], **codec.reading, **given}

    def seconds(self, size: int) -> float:
        """Of sound in so many bytes.

        >>> RawFormat("mulaw", 8000).seconds(80_000), RawFormat("g729", 8000).seconds(10)
        (10.0, 0.01)
        """
        return size * 8 / (CODECS[self.codec].bits * self.rate * self.channels)


def _asterisk() -> dict[str, RawFormat]:
    formats = {name: RawFormat("mulaw", 8000) for name in ("ulaw", "ul", "mu", "ulw")}
    formats |= {name: RawFormat("alaw", 8000) for name in ("alaw", "al", "alw")}
    formats |= {name: RawFormat("s16le", 8000) for name in ("sln", "sln8", "slin")}
    for thousands in (12, 16, 24, 32, 44, 48, 96, 192):
        formats[f"sln{thousands}"] = RawFormat("s16le", 44_100 if thousands == 44 else thousands * 1000)
    formats |= {f"g726-{rate}": RawFormat(f"g726-{rate}", 8000) for rate in (16, 24, 32, 40)}
    formats |= {name: RawFormat("g723", 8000) for name in ("g723", "g723sf", "g723_1")}
    return formats | {
        "g722": RawFormat("g722", 16_000),
        "g729": RawFormat("g729", 8000),
        "gsm": RawFormat("gsm", 8000),
        "ilbc": RawFormat("ilbc", 8000),
        "vox": RawFormat("oki", 8000),
    }


EXTENSIONS: dict[str, RawFormat] = _asterisk()
"""Extensions that say what is in a file, without the dot, as Asterisk's ``formats/`` register them (``format_pcm.c``,
``format_sln.c``, ``format_g7*.c``, ``format_gsm.c``, ``format_ilbc.c``, ``format_vox.c``; rates of ``sln*`` by
``main/codec_builtin.c``), and ``g723_1`` by ffmpeg's ``g723_1`` demuxer."""

UNSAID = {
    "raw": "{codec: s16le, rate: 8000}",
    "pcm": "{codec: s16le, rate: 8000}",
    "sw": "{codec: s16le, rate: 8000}",
    "adpcm": "{codec: oki, rate: 8000}",
    "g726": "{codec: g726-32}",
}
"""Extensions of files without a header that people use for different things, and what ``audio.raw`` might say of them:
``.pcm`` is µ-law in Asterisk and 16-bit PCM elsewhere, ``.raw`` may be a photo, ``.g726`` tells neither the rate nor
the packing."""


def extension(name: str) -> str:
    """The lower-case extension of a file name, without the dot.

    >>> extension("call.ULAW"), extension("call")
    ('ulaw', '')
    """
    return PurePath(name).suffix.lower().removeprefix(".")


def raw_format(extension: str, codec: str | None, rate: int | None, channels: int | None) -> RawFormat:
    """What ``audio.raw`` comes to for an extension; what it leaves out is as usual for this extension.

    Raises:
        ValueError: it is not enough, or contradicts itself.

    >>> raw_format("ulaw", None, 16_000, None)
    RawFormat(codec='mulaw', rate=16000, channels=1)
    """
    usual = EXTENSIONS.get(extension)
    codec = codec or (usual.codec if usual else None)
    if codec is None:
        raise ValueError(f"{extension!r} is not known; give the codec, one of {', '.join(CODECS)}")
    fixed = CODECS[codec].rate
    rate = rate or fixed or (usual.rate if usual else None)
    if rate is None:
        raise ValueError(f"{extension!r} needs the rate in Hz, e.g. 8000")
    if fixed and rate != fixed:
        raise ValueError(f"{extension!r}: {codec} has {fixed} Hz")
    if (channels or 1) > 1 and not CODECS[codec].channels:
        raise ValueError(f"{extension!r}: {codec} has one channel")
    return RawFormat(codec, rate, channels or 1)
