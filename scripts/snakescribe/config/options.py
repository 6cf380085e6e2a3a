"""The options, their types, defaults and one-line meanings: the only place where a default is decided.

Two types: what a person asks for (:class:`AskedConfig`), and what ``load_config`` resolves it to (:class:`Config`),
which is final.
``config/config.yaml``, ``config/README.md`` and ``workflow/schemas/config.schema.json`` are generated from
these models (``snakescribe config write``); a test fails when they drift.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from snakescribe.config.languages import DETECTED, LANGUAGES, code_of
from snakescribe.media.raw import CODECS, EXTENSIONS, UNSAID, RawFormat, extension, raw_format


def _language_code(value: object) -> object:
    # YAML 1.1 reads the bare word `no` (Norwegian) as false.
    code = "no" if value is False else value
    if isinstance(code, str) and code not in DETECTED and code not in LANGUAGES:
        raise ValueError(f"{code!r} is no language code of Whisper; use auto, mixed or a code like ko, en, ja, zh")
    return code


def _off(value: object) -> object:
    # YAML 1.1 reads the bare word `off` as false.
    return "off" if value is False else value


def _absolute(path: str) -> str:
    if not Path(path).is_absolute():
        raise ValueError(f"{path!r} is not absolute, as a resolved path is")
    return path


def _speakers(value: object) -> object:
    if value is False or value == "off":  # YAML 1.1 reads the bare word `off` as false
        return "off"
    if isinstance(value, str) and value.isdecimal():  # of a sheet, or of --config
        value = int(value)
    if value == "auto" or (type(value) is int and 1 <= value <= MOST_SPEAKERS):
        return value
    raise ValueError(f"use off, auto, or how many there are (1 to {MOST_SPEAKERS})")


MOST_SPEAKERS = 20
Speakers = Annotated[int | Literal["off", "auto"], BeforeValidator(_speakers)]
"""Whether voices are told apart, and how many there are."""
Language = Annotated[str, BeforeValidator(_language_code)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Channels = Literal["mix", "split", "left", "right"]
OutputFormat = Literal[
    "json",
    "txt",
    "srt",
    "vtt",
    "ass",
    "docx",
    "timed",
    "textgrid",
    "eaf",
    "chat",
    "audacity",
    "ctm",
    "stm",
    "rttm",
    "openai",
]
"""Names of the transcript formats; formats/registry.py says what each one is."""


class Options(BaseModel):
    """A group of options: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _track(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("use default, first, all, a number from 1, or a language code like ko")
    if isinstance(value, int) and value < 1:
        raise ValueError("tracks count from 1")
    if isinstance(value, str) and value not in ("default", "first", "all"):
        if code := code_of(value):  # as files have it: eng, ko-KR
            return code
        raise ValueError(f"{value!r} is no track; use default, first, all, a number from 1, or a language code like ko")
    return value


class RawOptions(Options):
    """What is in files of one extension that have no header; null is as usual for this extension or codec."""

    codec: Literal[*CODECS] | None = None  # type: ignore[valid-type]
    rate: int | None = Field(None, ge=1000, le=768_000)
    """Hz."""
    channels: int | None = Field(None, ge=1, le=64)


def _says_enough(raw: dict[str, RawOptions]) -> dict[str, RawOptions]:
    for kind, given in raw.items():
        if not re.fullmatch(r"[a-z0-9_+-]{1,16}", kind):
            raise ValueError(f"{kind!r} is no extension; write it in small letters and without the dot, like ulaw")
        raw_format(kind, given.codec, given.rate, given.channels)
    return raw


class AudioOptions(Options):
    """How a recording becomes 16 kHz mono."""

    track: Annotated[int | str, BeforeValidator(_track)] = Field(
        "default",
        description="which of several audio tracks: `default` (the one marked so; where nobody speaks on it, the "
        "first one on which somebody does), `first`, a number from 1, a language code, or `all`, one channel each",
    )
    channels: Channels = Field(
        "mix",
        description="`mix` to one channel, `split` into one transcript per channel, or only `left`/`right`",
    )
    channel_names: dict[str, str] = Field(
        {}, description="names for the channels in the tables, e.g. `{left: agent, right: caller}`"
    )
    loudness: float | None = Field(
        None,
        ge=-70,
        le=-5,
        description="EBU R128 target in LUFS, e.g. -23; null leaves the loudness as it is",
    )
    highpass: float | None = Field(
        None, gt=0, lt=8000, description="high-pass filter in Hz, e.g. 80 against hum; null for none"
    )
    truncated: Literal["keep", "fail"] = Field(
        "keep", description="a file that ends early or is incomplete keeps its text and gets a flag, or fails"
    )
    max_hours: float = Field(24.0, gt=0, description="a longer recording fails with TooLong")
    raw: Annotated[dict[str, RawOptions], AfterValidator(_says_enough)] = Field(
        {},
        description="files without a header, by extension, beyond those in docs/formats.md: e.g. "
        "`{ulaw: {rate: 16000}, pcm: {codec: s16le, rate: 8000, channels: 2}}`",
    )

    def raw_suffix(self, name: str) -> str:
        """The extension, with its dot, if the content of a file called ``name`` can only be known by it; else nothing.

        >>> AudioOptions().raw_suffix("call.ULAW"), AudioOptions().raw_suffix("call.wav")
        ('.ulaw', '')
        """
        kind = extension(name)
        return f".{kind}" if self.raw_format(kind) or kind in UNSAID else ""

    def raw_format(self, kind: str) -> RawFormat | None:
        """What is in files of an extension (``ulaw``) without a header; None where they should have one."""
        given = self.raw.get(kind)
        if given is None:
            return EXTENSIONS.get(kind)
        return raw_format(kind, given.codec, given.rate, given.channels)


class SpeechOptions(Options):
    """Voice activity (Silero): where speech is."""

    threshold: float = Field(0.3, gt=0, lt=1, description="probability above which 32 ms of audio are speech")
    min_speech: float = Field(0.2, ge=0, description="shorter bursts of speech are dropped (seconds)")
    min_silence: float = Field(0.16, ge=0, description="shorter pauses do not end a piece of speech (seconds)")
    pad: float = Field(0.5, ge=0, le=2, description="kept before and after each piece of speech (seconds)")


class DecodingOptions(Options):
    """How Whisper reads a window of speech."""

    window: float = Field(24.0, ge=5, le=28, description="longest window given to the model (seconds)")
    beam_size: int = Field(4, ge=1, le=8, description="hypotheses kept while decoding; 1 is greedy")
    patience: float = Field(1.0, gt=0, le=4, description="beam search goes on until beam_size × patience have ended")
    margin: float = Field(
        4.0,
        gt=0,
        description="a hypothesis this much less probable than the best one (natural log) is given up; "
        "`ctranslate2` keeps all",
    )
    rows: int | None = Field(
        None,
        ge=1,
        le=64,
        description="windows of 30 s decoded together; null takes what suits the device. Does not change the text",
    )
    temperatures: list[float] = Field(
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        min_length=1,
        description="tried in turn while a guard fails; the first must be 0 (beam search)",
    )
    compression_ratio: float | None = Field(
        2.4,
        gt=0,
        description="guard: text that compresses better than this repeats itself; null switches it off",
    )
    mean_logprob: float | None = Field(
        -1.0, lt=0, description="guard: mean log-probability of the tokens; null switches it off"
    )
    no_speech: float | None = Field(
        0.6,
        gt=0,
        le=1,
        description="with a low mean log-probability: taken as no speech; null switches it off",
    )


class SubtitleOptions(Options):
    """How subtitles are named and written."""

    name: Literal["full", "beside"] = Field(
        "full",
        description="`full` is `x.mkv.srt`; `beside` is `x.srt`, which players find beside `x.mkv`, unless another "
        "recording of the folder has the same name but for its extension (both are `full` then)",
    )
    highlight: bool = Field(
        False, description="in `vtt` and `ass` the word that is being said is highlighted; needs `words: true`"
    )


class BatchOptions(Options):
    """How recordings are grouped into jobs."""

    minutes: float = Field(60.0, gt=0, description="audio per job (minutes); a longer recording is its own job")
    files: int = Field(500, ge=1, description="recordings per job; 1 gives strictly one job per file")
    ahead_gb: float = Field(20.0, ge=0, description="normalised audio that may wait on disk (GB; an hour is 0.115 GB)")


class CacheOptions(Options):
    """Finished transcripts, kept by content and options; shared by all runs and the HTTP shim."""

    path: str | None = Field(
        None, description="folder; null is `$XDG_CACHE_HOME/snakescribe` or `~/.cache/snakescribe`"
    )
    mode: Annotated[Literal["use", "refresh", "off"], BeforeValidator(_off)] = Field(
        "use", description="`refresh` writes without reading, `off` does neither"
    )
    max_gb: float = Field(10.0, ge=0, description="oldest entries go when it grows beyond this (GB)")


class ServerOptions(Options):
    """The HTTP shim (`snakescribe serve`): who may ask, how much, and for how long."""

    host: str = Field("127.0.0.1", description="address to listen on; `0.0.0.0` is every one of this machine")
    port: int = Field(8003, ge=0, le=65535, description="0 takes a free one")
    open: bool = Field(False, description="listen on a wider address than this machine's own without an API key")
    key_file: str | None = Field(
        None, description="file that holds the API key; `SNAKESCRIBE_API_KEY` in the environment wins over it"
    )
    state: str | None = Field(
        None,
        description="folder for uploads, queued jobs and their results; null is `$XDG_STATE_HOME/snakescribe` or "
        "`~/.local/state/snakescribe`",
    )
    origins: list[str] = Field(
        [],
        description="web pages of these origins may ask, e.g. `https://notes.example.org` or `app://obsidian.md`; "
        "`*` is every page, and needs an API key",
    )
    aliases: list[str] = Field(
        ["whisper-1"],
        description="names of models that clients have wired in, e.g. `gpt-4o-transcribe`: each is the model that "
        "there is; `*` is any name",
    )
    folder: str | None = Field(None, description="jobs may name recordings below this folder instead of uploading")
    max_upload_mb: float = Field(1024.0, gt=0, description="a larger request is refused (MB)")
    max_minutes: float = Field(240.0, gt=0, description="a longer recording is refused (minutes of audio)")
    queue: int = Field(64, ge=1, description="requests taken at a time; the next one is told to come back later")
    jobs: int = Field(1000, ge=0, description="jobs waiting at a time; the next one is told to come back later")
    request_seconds: float = Field(
        900.0, gt=0, description="a request that waits for its text is given up after this; jobs have no such limit"
    )
    keep_hours: float = Field(24.0, gt=0, description="a finished job can be asked for so long")
    gather_ms: float = Field(
        20.0, ge=0, le=1000, description="wait for others before decoding, so that they are read together"
    )
    proof_minutes: float = Field(
        5.0, gt=0, description="the known clip is transcribed this often, and `/readyz` tells how it went"
    )
    shutdown_seconds: float = Field(
        60.0, ge=0, le=86_400, description="time for running requests and jobs to finish when asked to stop"
    )
    log_text: bool = Field(False, description="write transcripts into the log")

    @field_validator("origins")
    @classmethod
    def _exact(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s*?#@]+", origin):
                raise ValueError(f"{origin!r} is no origin; use scheme and host as a browser sends them, no path")
        return origins


class ContainerOptions(Options):
    """The image the rules run in with `--sdm apptainer`."""

    image: str | None = Field(None, description="absolute path of a `.sif` image; null runs without a container")

    @model_validator(mode="after")
    def _absolute(self) -> ContainerOptions:
        if self.image is not None and not self.image.startswith("/"):
            raise ValueError("image must be an absolute path, or null to run without a container")
        return self


class AskedConfig(Options):
    """Everything a run can be told."""

    recordings: str = Field("recordings", description="a folder (searched recursively) or a CSV/TSV sample sheet")
    results: str = Field("results", description="where everything is written")
    models: str | None = Field(
        None,
        description="model store; null is `$SNAKESCRIBE_MODELS`, else the checkout's `.models` (of `make setup`) "
        "if there is one, else `~/.local/share/snakescribe/models`",
    )
    model: str = Field(
        "base",
        description="a name of `snakescribe models list`, or the path of a file or folder that was imported",
    )
    language: Language = Field(
        "auto",
        description="language code (ko, en, ja, …); `auto` detects it per recording, "
        "`mixed` anew every half minute or less",
    )
    task: Literal["transcribe", "translate"] = Field("transcribe", description="`translate` writes English")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`cuda` means CUDA or an error, never a silent CPU run; `STT_DEVICE` overrides it, but `auto` "
        "there does not turn `cuda` into the CPU",
    )
    engine: Literal["auto", "torch_whisper", "ctranslate2", "openvino"] = Field(
        "auto", description="recognition backend; `auto` takes the fastest for the device"
    )
    compute_type: Literal["auto", "int8", "int8_bfloat16", "int8_float32", "bfloat16", "float16", "float32"] = Field(
        "auto",
        description="precision of the products; `int8` is of the linear layers, with the rest in `bfloat16` or "
        "`float32`, as the engine is fastest or as named after it; `auto` is what the engine is fastest with: int8 on "
        "CPU, float16 on CUDA",
    )
    prompt: str = Field("", description="text that Whisper takes as what was said before: names, spelling, style")
    hotwords: list[str] = Field(
        [],
        description="words to expect; given to the model in front of every window. Of hotwords and prompt together it "
        "takes the last 223 tokens, some 150 English words; what is left out is said in the log",
    )
    glossary: dict[str, str] = Field(
        {},
        description="replacements made in the finished text, e.g. `{스네이크: 스네익}`; recorded in the tables",
    )
    words: bool = Field(False, description="times for every word, by cross-attention alignment")
    speakers: Speakers = Field(
        "off",
        description="tell voices apart: `auto` finds out how many there are, a number (1 to 20) says so; a column "
        "`speakers` of the sheet does for one recording. Needs `snakescribe models fetch speakers`; `words: true` lets "
        "a segment be cut where another one speaks",
    )
    speakers_min: int = Field(1, ge=1, le=MOST_SPEAKERS, description="with `speakers: auto` at least so many")
    speakers_max: int = Field(
        MOST_SPEAKERS, ge=1, le=MOST_SPEAKERS, description="with `speakers: auto` at most so many"
    )
    speakers_across: bool = Field(
        False,
        description="one voice has one label, and one name, in all recordings of a folder "
        "(each folder below it has its own)",
    )
    speaker_names: str | None = Field(
        None,
        description="a CSV or TSV of who is who: columns `recording` (path or id), `label` (`SPEAKER_00`, …), `name`",
    )
    outputs: list[OutputFormat] = Field(
        ["json", "txt", "srt", "vtt"],
        description="files written per recording under `results/transcripts`; docs/usage.md says what each is for",
    )
    report: bool = Field(
        True, description="write `report.html`: figures, doubtful recordings first, every text with its sound"
    )
    on_error: Literal["fail", "report"] = Field(
        "fail",
        description="exit 1 when recordings failed, after everything else is done, or only report them",
    )
    attempts: int = Field(
        3,
        ge=1,
        description="how often a recording is tried, each time by another run, when it failed by what may be the "
        "machine's fault: `VanishedRecording`, `DriveFailure`, `TimedOut`, `EngineFailure`, `OutOfMemory`",
    )
    settle: float = Field(
        0.0, ge=0, description="seconds a file must have been left alone before it is taken (drop folders)"
    )
    audio: AudioOptions = AudioOptions()
    speech: SpeechOptions = SpeechOptions()
    decoding: DecodingOptions = DecodingOptions()
    subtitles: SubtitleOptions = SubtitleOptions()
    batch: BatchOptions = BatchOptions()
    cache: CacheOptions = CacheOptions()
    container: ContainerOptions = ContainerOptions()
    server: ServerOptions = ServerOptions()

    @model_validator(mode="after")
    def _possible(self) -> AskedConfig:
        """Pairs that cannot work are refused here, before anything runs; `models.configured` has what models cannot."""
        if self.decoding.temperatures[0] != 0:
            raise ValueError("decoding.temperatures: must begin with 0; sampling is only for windows that failed")
        if self.speakers_min > self.speakers_max:
            raise ValueError(f"speakers_min: {self.speakers_min} is more than speakers_max, {self.speakers_max}")
        if self.speakers_across and self.speakers == "off":
            raise ValueError("speakers_across: needs voices to be told apart; set speakers: auto, too")
        if self.subtitles.highlight and not self.words:
            raise ValueError("subtitles.highlight: highlights words by their times; set words: true, too")
        if self.engine == "openvino" and self.compute_type in ("bfloat16", "float32"):
            raise ValueError(
                f"compute_type: openvino has int8 linear layers; use int8_{self.compute_type}, or engine: auto"
            )
        if self.engine == "openvino" and self.device == "cuda":
            raise ValueError(
                "engine: openvino runs on the CPU; use engine: auto, torch_whisper or ctranslate2 for cuda"
            )
        if self.engine == "ctranslate2" and self.compute_type == "bfloat16" and self.device == "cpu":
            raise ValueError("compute_type: ctranslate2 has no bfloat16 on the CPU; use int8 or float32")
        if self.compute_type == "float16" and self.device == "cpu":
            raise ValueError("compute_type: float16 needs CUDA; use int8, float32 or bfloat16 on the CPU")
        return self


class ResolvedCache(CacheOptions):
    """The cache, with its folder."""

    path: AbsolutePath


class ResolvedServer(ServerOptions):
    """The HTTP shim, with its folder."""

    state: AbsolutePath


class Config(AskedConfig):
    """What a run goes by: defaults, environment and paths are resolved, and nothing is looked up again.

    The main process writes it into the results folder, and every step, in an image or on another machine, reads that.
    """

    recordings: AbsolutePath
    results: AbsolutePath
    models: AbsolutePath
    cache: ResolvedCache
    server: ResolvedServer
