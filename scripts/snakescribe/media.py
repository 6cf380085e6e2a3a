"""What counts as a recording, by name and by container: the extensions taken, and what ffmpeg may open.

A recording is hostile input. A playlist (HLS, DASH, concat, IMF), a session description or an image
sequence in a ``.wav`` would make ffmpeg read other files or the network, so demuxers are allowed by name.
"""

from __future__ import annotations

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

_EXTENSIONS = b"""
3g2 3ga 3gp 3gpp 8svx aac ac3 ac4 act adts aif aifc aiff amr ape asf au avi awb bwf caf divx dsf dss dts
dtshd dv eac3 ec3 f4a f4v flac flv g722 g723_1 g729 gsm gxf iff ilbc ircam lc3 loas m2a m2ts m4a m4b m4p m4r
m4v mka mkv mlp mov mp2 mp3 mp4 mpa mpc mpeg mpg mpga mts mxf nist nsv nut oga ogg ogm ogv oma opus osq paf
pvf qcp qoa qt ra rf64 rm rmvb shn sln snd sph spx tak thd ts tta vob voc vqf w64 wav wave weba webm wma wmv
wsd wtv wv xwma
"""

EXTENSIONS = frozenset(b"." + extension for extension in _EXTENSIONS.split())
"""Extensions taken from a folder, any case. A file in a sheet is taken whatever it is called."""
