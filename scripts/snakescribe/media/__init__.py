"""What counts as a recording, by name and by container: the extensions taken, and what ffmpeg may open.

A recording is hostile input. A playlist (HLS, DASH, concat, IMF), a session description or an image
sequence in a ``.wav`` would make ffmpeg read other files or the network, so demuxers are allowed by name.
"""

from __future__ import annotations

from snakescribe.media import raw

PROTOCOLS = "file,pipe"
"""For ``-protocol_whitelist``."""

_NAMED = """
aac ac3 ac4 act adx aea aiff amr amrnb amrwb ape asf asf_o ast au avi avr bonk caf codec2 daud dsf dss dts
dtshd dv eac3 epaf flac flv g722 g723_1 g726 g726le g728 g729 gsm gxf iamf iff ilbc ircam ivr lc3 loas
matroska mlp mmf mov mp3 mpc mpc8 mpeg mpegts mxf nistsphere nsv nut ogg oma osq paf pvf qcp qoa rm rso sbc
sds shn sln sox tak truehd tta voc vqf w64 wav webm wsd wtv wv xa xwma
"""

ALLOWED_DEMUXERS = ",".join(_NAMED.split())
"""For ``-format_whitelist``: demuxers (``ffmpeg -demuxers``) of containers that carry speech.

ffmpeg compares any of a demuxer's names (``mov,mp4,m4a,3gp,3g2,mj2``) with the list, and a name that a build
does not know matches nothing, so one list serves ffmpeg 5 to 8.
"""

_NAMED_SO = b"""
3g2 3ga 3gp 3gpp 8svx aac ac3 ac4 act adts aif aifc aiff amr amv ape asf au avi awb bwf caf divx ds2 dsf dss dts
dtshd dv dvf eac3 ec3 f4a f4v flac flv gxf iff ircam lc3 loas m2a m2t m2ts m4a m4b m4p m4r m4v mka mkv mlp mov mp1
mp2 mp3 mp4 mp4a mpa mpc mpe mpeg mpg mpga msv mts mxf nist nsv nut oga ogg ogm ogv ogx oma opus osq paf pvf qcp qoa
qt qta ra rf64 rm rmvb shn silk snd sph spx tak thd tod tp trp ts tta vob voc vqf vro w64 wav wav49 wave weba webm
wma wmv wsd wtv wv xwma
"""

EXTENSIONS = frozenset(_NAMED_SO.split()) | {extension.encode() for extension in raw.EXTENSIONS}
"""Extensions (without the dot) that make a file in a folder a recording, any case. A file in a sheet is taken whatever
it is called, and one with an unknown extension when its content is sound."""

_DOCUMENTS = b"""
7z bat bib bmp bz2 c cfg cmd conf cpp css csv cue cur db dll dmg doc docm docx eml eps epub exe gif gz h
heic heif htm html icns ico idx ini ics iso jar java jpeg jpg js json jsonl key lnk lock log lrc m3u m3u8 md md5 mid
midi msg nfo numbers odp ods odt pages parquet pcap pdf php pkl pls plist png ppt pptx ps py pyc rar rst rtf
sbv sfv sh sha256 sqlite sql srt ssa ass sub svg tar tex tgz tif tiff tmx toml torrent ttml tsv txt url vcf vtt wasm
webp xls xlsm xlsx xml xmp xspf xz yaml yml zip zst
"""

DOCUMENTS = frozenset(_DOCUMENTS.split())
"""Extensions of texts, pictures, archives and the like: such a file is passed over without a look into it."""
