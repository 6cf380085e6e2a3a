"""What ffmpeg may open: local files, and demuxers that read one file and nothing beside it.

A recording is hostile input. A playlist (HLS, DASH, concat, IMF), a session description or an image
sequence in a ``.wav`` would make ffmpeg read other files or the network, so demuxers are allowed by name.
"""

from __future__ import annotations

PROTOCOLS = "file,pipe"
"""For ``-protocol_whitelist``."""

_DEMUXERS = """
aac ac3 ac4 act adx aea aiff amr amrnb amrwb ape asf asf_o ast au avi avr bonk caf codec2 daud dsf dss dts
dtshd dv eac3 epaf flac flv g722 g723_1 g726 g726le g728 g729 gsm gxf iamf iff ilbc ircam ivr lc3 loas
matroska mlp mmf mov mp3 mpc mpc8 mpeg mpegts mxf nistsphere nsv nut ogg oma osq paf pvf qcp qoa rm rso sbc
sds shn sln sox tak truehd tta voc vqf w64 wav webm wsd wtv wv xa xwma
"""

FORMATS = ",".join(_DEMUXERS.split())
"""For ``-format_whitelist``: demuxers (``ffmpeg -demuxers``) of containers that carry speech.

ffmpeg compares any of a demuxer's names (``mov,mp4,m4a,3gp,3g2,mj2``) with the list, and a name that a build
does not know matches nothing, so one list serves ffmpeg 5 to 8.
"""
