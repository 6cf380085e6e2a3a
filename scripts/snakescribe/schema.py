"""Columns of every table with their meaning and unit: the only place where a column is decided.

``docs/tables.md`` is generated from it. A batch file holds the columns of ``BATCH``; the ``tables`` step adds
those of ``LEDGER`` (what can change without transcribing again) and the sheet's own columns.
"""

from __future__ import annotations

import pyarrow as pa

from snakescribe.flags import RECORDING_FLAGS, SEGMENT_FLAGS, explained

SCHEMA_VERSION = 2
"""Raised when a column changes its meaning or goes away; new columns do not raise it."""


def _column(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": meaning})


TEXT, REAL, COUNT = pa.string(), pa.float64(), pa.int64()

KEYS = [
    _column("recording_id", TEXT, "key of a recording: the sheet's `id` or 16 hex digits of the path's SHA-256"),
    _column("path", TEXT, "path relative to the recordings folder; bytes that are not UTF-8 written as `\\xNN`"),
    _column("sha256", TEXT, "SHA-256 of the file's content; empty when it could not be read"),
]

SPEAKER = "label of who says it, `SPEAKER_00` being the first to speak; null when voices are not told apart"
SPAN = [_column(name, REAL, "seconds from the start of the recording") for name in ("start", "end")]
CHANNEL = _column("channel", TEXT, "name of the channel with `audio.channels: split`, else null")

WORD = [
    *SPAN,
    _column("text", TEXT, "the word as Whisper writes it, without surrounding spaces"),
    _column("probability", REAL, "mean probability of the word's tokens, 0 to 1"),
    _column("speaker", TEXT, SPEAKER),
    _column("speaker_confidence", REAL, "share of the word's time with speech that is this speaker's, 0 to 1"),
    _column("overlap", pa.bool_(), "true when somebody else speaks for half of the word or more"),
]

SEGMENT = [
    *SPAN,
    _column("text", TEXT, "what was said, after the glossary"),
    _column("language", TEXT, "Whisper's code; differs within a recording only with `language: mixed`"),
    CHANNEL,
    _column("speaker", TEXT, SPEAKER),
    _column("mean_logprob", REAL, "mean natural-log probability of the window's tokens"),
    _column("no_speech_probability", REAL, "Whisper's probability that the window holds no speech, 0 to 1"),
    _column(
        "compression_ratio",
        REAL,
        "length of the window's text over its zlib length, a letter of an alphabet being one byte and a Chinese"
        " character or a syllable of Hangul three; high means repetition",
    ),
    _column("temperature", REAL, "sampling temperature of the attempt kept; 0 is beam search or greedy"),
    _column(
        "flags",
        pa.list_(TEXT),
        f"why not to trust the window's text: {explained(SEGMENT_FLAGS)}",
    ),
]

GAP = [*SPAN, CHANNEL]
RECORDING = [
    *KEYS,
    _column("path_bytes", pa.binary(), "the path's bytes exactly as on disk (Parquet only)"),
    _column("status", TEXT, "`ok`, `empty` (no speech) or `failed`"),
    _column("error_class", TEXT, "why it failed, as a class of docs/errors.md; null otherwise"),
    _column("error_message", TEXT, "why it failed, for people; null otherwise"),
    _column("flags", pa.list_(TEXT), f"{explained(RECORDING_FLAGS)}, and any flag of a segment"),
    _column("text", TEXT, "the whole transcript"),
    _column("duration", REAL, "seconds by the recording's clock, as a player shows it; null when failed"),
    _column("speech_seconds", REAL, "seconds of speech by voice activity, summed over channels"),
    _column("text_seconds", REAL, "seconds that segments cover, summed over channels"),
    _column("gap_seconds", REAL, "seconds of `gaps`, summed over channels"),
    _column(
        "gaps",
        pa.list_(pa.struct(GAP)),
        "where more than two seconds of speech have no text, in seconds from the start of the recording",
    ),
    _column(
        "language",
        TEXT,
        "Whisper's language code, with `language: mixed` that of most of the text; null without speech",
    ),
    _column(
        "language_probability",
        REAL,
        "0 to 1; 1 when the language was given, with `language: mixed` its share of the seconds with text",
    ),
    _column("replacements", pa.list_(TEXT), "glossary replacements made, as `from→to ×count`"),
    _column("codec", TEXT, "audio codec of the track that was decoded"),
    _column("sample_rate", COUNT, "of that track, in Hz"),
    _column("channels", COUNT, "number of channels of that track"),
    _column(
        "audio_track",
        COUNT,
        "number of that track in the file, from 1; null when several were heard (`audio.track: all`), and when failed",
    ),
    _column("audio_tracks", COUNT, "how many audio tracks the file has; null when failed"),
    _column("start_offset", REAL, "seconds before the sound begins, by the file's clock; null when failed"),
    _column(
        "clock_gaps",
        pa.list_(pa.struct(SPAN)),
        "where the file's clock goes on without sound (silence was put in), in seconds from the start of the recording",
    ),
    _column(
        "missing_seconds",
        REAL,
        "seconds that the file promises and does not hold, with `truncated` and `incomplete`; null when failed",
    ),
    _column("speakers_found", COUNT, "how many speak; null when voices are not told apart"),
    _column("speakers_given", TEXT, "what was asked for: `auto` or a number; null when voices are not told apart"),
    _column("overlap_seconds", REAL, "seconds in which two or more speak at once, summed over channels"),
    _column("speaker_model_sha256", TEXT, "SHA-256 of the weights of the voice encoder"),
    _column("size", COUNT, "of the source, in bytes"),
    _column("model", TEXT, "the model as configured"),
    _column("model_sha256", TEXT, "identity of the weights (hash over names, shapes and float16 values)"),
    _column("engine", TEXT, "backend really used"),
    _column("versions", TEXT, "of snakescribe and the libraries that made the text"),
    _column("device", TEXT, "`cpu` or `cuda`, as really used"),
    _column("device_name", TEXT, "name of the processor or GPU"),
    _column("driver", TEXT, "GPU driver's CUDA version; null on CPU"),
    _column("compute_type", TEXT, "precision really used"),
    _column("wall_seconds", REAL, "wall time spent on this recording (its share of the windows decoded together)"),
    _column("real_time_factor", REAL, "wall_seconds over duration; smaller is faster"),
    _column(
        "options_hash",
        TEXT,
        "SHA-256 of every option that changes the text, the recording's overrides included",
    ),
    _column(
        "cached",
        pa.bool_(),
        "true when the text came from the cache; device and times are those of the making",
    ),
    _column("finished_at", pa.timestamp("ms", "UTC"), "when the text was made"),
    _column("batch", TEXT, "job that made it"),
    _column("attempt", COUNT, "1 the first time, counted up for new content and retries"),
]

VOICE = [
    _column("speaker", TEXT, "label within the recording, `SPEAKER_00` being the first to speak"),
    _column("name", TEXT, "who it is, as somebody has said; of a channel with one voice the channel's name; else null"),
    CHANNEL,
    _column("speech_seconds", REAL, "seconds that the speaker speaks"),
    _column("turns", COUNT, "how often the speaker takes the word: pauses of less than a second end no turn"),
    _column("first_start", REAL, "seconds from the start of the recording to the speaker's first word"),
]
TURN = [*SPAN, CHANNEL, _column("speaker", TEXT, SPEAKER)]

LEDGER = [
    _column("source_state", TEXT, "`present`, or `removed` when the file is gone from the recordings folder"),
    _column("duplicate_of", TEXT, "recording_id of the first recording, by path, with the same content, else null"),
    _column("reference", TEXT, "reference text from the sheet, else null"),
]

CORRECTED = _column("corrected", pa.bool_(), "true when somebody has put it right (`snakescribe corrections`)")

VERSION = [_column("schema_version", pa.int32(), "version of this schema")]
INDEX = _column("segment", COUNT, "number of the segment in its recording, from 0")

NESTED_WORDS = pa.field("words", pa.list_(pa.struct(WORD)))
NESTED_SEGMENTS = pa.field("segments", pa.list_(pa.struct([*SEGMENT, NESTED_WORDS])))

ENVELOPE = _column(
    "envelope",
    TEXT,
    "loudness of each 0.256 s as a base64 digit, 0 to 63 dB above -63 dB of full scale; null in older rows",
)

VOICE_VECTORS = _column(
    "voice_vectors",
    pa.list_(pa.binary()),
    "of each of the speakers, 192 signed bytes that voices are compared by; null for one who says too little",
)

NESTED_VOICES = [pa.field("speakers", pa.list_(pa.struct(VOICE))), pa.field("turns", pa.list_(pa.struct(TURN)))]

BATCH: pa.Schema = pa.schema([*RECORDING, NESTED_SEGMENTS, *NESTED_VOICES, VOICE_VECTORS, ENVELOPE, *VERSION])
RECORDINGS: pa.Schema = pa.schema([*RECORDING, *LEDGER, CORRECTED, *VERSION])
SEGMENTS: pa.Schema = pa.schema([*KEYS, INDEX, *SEGMENT, CORRECTED, *VERSION])
WORDS: pa.Schema = pa.schema(
    [
        *KEYS,
        INDEX,
        _column("word", COUNT, "number of the word in its segment, from 0"),
        CHANNEL,
        *WORD,
        *VERSION,
    ]
)

SPEAKERS: pa.Schema = pa.schema([*KEYS, *VOICE, *VERSION])

CORRECTED_BATCH: pa.Schema = pa.schema(
    [
        *RECORDING,
        pa.field("segments", pa.list_(pa.struct([*SEGMENT, NESTED_WORDS, CORRECTED]))),
        *NESTED_VOICES,
        ENVELOPE,
        CORRECTED,
    ]
)
"""Rows of a batch file with the corrections in them."""
