"""What the first bytes of a file say about it, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

HEAD = 4096
"""Bytes that are looked at."""

_RIFF = (b"WAVE", b"AVI ", b"QLCM", b"RMID", b"CDXA")
_CONTAINERS: tuple[tuple[int, bytes], ...] = (
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"caff\0"),
    (0, b".snd\0"),
    (0, b"#!AMR"),
    (0, b"#!iLBC"),
    (0, b"NIST_1A\n"),
    (0, b"wvpk"),
    (0, b"MAC "),
    (0, b"TTA1"),
    (0, b"MPCK"),
    (0, b"MP+"),
    (0, b"FLV\x01"),
    (0, b".RMF"),
    (0, b".ra\xfd"),
    (0, b"ajkg"),
    (0, b"DSD "),
    (0, b"FRM8"),
    (0, b"2BIT"),
    (0, b"tBaK"),
    (0, b"\x02dss"),
    (0, b"\x03dss"),
    (0, b"Creative Voice File\x1a"),
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # ASF, WMA
    (0, b"riff\x2e\x91\xcf\x11"),  # Sony Wave64
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),  # MXF, SMPTE ST 377-1
    (0, b"\0\0\x01\xba"),  # MPEG program stream
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
)
"""Offset and bytes of what stands at the beginning of a recording, from the formats' specifications."""
_PHOTOS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"crx ", b"jxl ")
"""Brands of pictures in ISO base media files (``ftyp``)."""
TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Packet size and offset of the byte 0x47 in MPEG transport streams (ISO/IEC 13818-1): plain, with a time code, with
parity."""
_MPEG_RATES = (
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),  # MPEG 1, layer I
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),  # layer II
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # layer III
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),  # MPEG 2, layer I
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # layers II and III
)
"""kbit/s by the bit rate index 1 to 14 (ISO/IEC 11172-3, 13818-3)."""

STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (
        1,
        b"ds2",
        "a DS2 dictation (DSS Pro of Olympus and Grundig); convert it with dss-decode (github.com/hirparak/dss-codec)",
    ),
    (
        0,
        b"\x03enc",
        "an encrypted DS2 dictation; convert it with dss-decode --password (github.com/hirparak/dss-codec)",
    ),
    (0, b"#!SILK_V3", "a SILK voice message; convert it with silk-v3-decoder"),
    (1, b"#!SILK_V3", "a SILK voice message (WeChat, QQ); convert it with silk-v3-decoder"),
    (0, b"#!AMR-WB+\n", "AMR-WB+, which ffmpeg cannot decode; convert it with the 3GPP decoder (TS 26.304)"),
    (0, b"MS_VOICE", "a Sony voice recording (MSV, DVF); convert it to WAV with Sony's Sound Organizer"),
    (4, b"ftypaax", "an encrypted Audible book; ffmpeg needs -activation_bytes to convert it"),
    (0, b"OFR ", "OptimFROG; convert it with ofr --decode"),
    (0, b"MThd", "MIDI: notes, not sound"),
    (0, b"VOX ", "a MagicaVoxel model, not a recording"),
    (0, b"version https://git-lfs", "a Git LFS pointer in place of the file; fetch it with git lfs pull"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it"),
    (0, b"\x1f\x8b", "compressed by gzip; unpack it with gunzip"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<!DOCTYPE", "a web page, perhaps an error that was saved in place of the recording; fetch it again"),
    (0, b"<!doctype", "a web page, perhaps an error that was saved in place of the recording; fetch it again"),
    (0, b"<html", "a web page, perhaps an error that was saved in place of the recording; fetch it again"),
    (0, b"SQLite format 3\0", "a database; if it is an Audacity project, export its sound from there"),
)
"""Offset, bytes, and what this is that ffmpeg cannot read, with a free way to convert it where there is one."""


def head_of(path: Path | str | bytes) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return file.read(HEAD)


def has_header(head: bytes) -> bool:
    r"""Whether it begins like a container that ffmpeg reads, beyond chance.

    >>> has_header(b"RIFF\x24\0\0\0WAVEfmt "), has_header(bytes(64))
    (True, False)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return head[8:12] in _RIFF
    if head[:4] == b"FORM":
        return head[8:12] in (b"AIFF", b"AIFC", b"8SVX")
    if head[4:8] == b"ftyp":
        return head[8:12] not in _PHOTOS
    return any(head.startswith(magic, offset) for offset, magic in _CONTAINERS)


def looks_like_sound(head: bytes) -> bool:
    """Whether it may be a recording: a container, or frames that follow each other."""
    return has_header(head) or any(follow(head) for follow in _STREAMS)


def stranger(head: bytes) -> str | None:
    """What a file is that ffmpeg cannot read, for its owner.

    >>> stranger(b"%PDF-1.7")
    'a PDF document'
    """
    if head.startswith(b"NIST_1A") and b"shorten" in head[:1024]:
        return "SPHERE with its sound compressed by shorten; convert it with sph2pipe -f wav, or with SoX"
    if head.startswith(b"NIST_1A") and b"wavpack" in head[:1024]:
        return "SPHERE with its sound compressed by WavPack; convert it with w_decode of the NIST SPHERE tools"
    return next((what for offset, magic, what in STRANGERS if head.startswith(magic, offset)), None)


def _transport_stream(head: bytes) -> bool:
    for size, offset in TS_PACKETS:
        marks = head[offset::size]
        if len(marks) >= 4 and set(marks) == {0x47} and head[offset + 1] != 0x47:
            return True
    return False


def _mpeg_frame(head: bytes, at: int) -> int:
    """Bytes of the MPEG audio frame at ``at``; 0 when there is none."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    index, rate = head[at + 2] >> 4, head[at + 2] >> 2 & 3
    if version == 1 or layer == 0 or index in (0, 15) or rate == 3:
        return 0
    row = 3 - layer if version == 3 else 3 + (layer != 3)
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _MPEG_RATES[row][index - 1] * 1000
    padding = head[at + 2] >> 1 & 1
    if layer == 3:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 1 and version != 3 else 144) * bits // hertz + padding


def _mpeg_audio(head: bytes) -> bool:
    at = 0
    for _ in range(3):
        size = _mpeg_frame(head, at)
        if not size:
            return False
        at += size
        if at + 4 > len(head):
            break
    return at > 0


def _adts(head: bytes) -> bool:
    at = 0
    for _ in range(3):
        if len(head) < at + 6 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0:
            return False
        size = (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5
        if size < 7:
            return False
        at += size
        if at + 6 > len(head):
            break
    return True


def _ac3(head: bytes) -> bool:
    return head.startswith(b"\x0b\x77") and len(head) > 5 and head[5] >> 3 in (8, 6, 16)  # bsid of AC-3 and E-AC-3


def _dts(head: bytes) -> bool:
    return head.startswith(b"\x7f\xfe\x80\x01")


_STREAMS: tuple[Callable[[bytes], bool], ...] = (_transport_stream, _mpeg_audio, _adts, _ac3, _dts)
