"""Every failure a user can cause: one class, one line that says what to do, one exit code.

Two families. A :class:`SnakescribeError` ends a step with its ``exit_code``. A :class:`RecordingError` is
the fate of one recording: it becomes a row (``error_class``, ``error_message``) and the others go on; the server
answers with its ``http_status``. The tables of the documents are made from these classes.
"""

from __future__ import annotations

from typing import ClassVar


class _Family(Exception):
    """The base of a family: it has no code of its own, so only its classes can be raised."""

    def __init__(self, message: str) -> None:
        if _Family in type(self).__bases__:
            raise TypeError(f"{type(self).__name__} is a family of errors; raise one of its classes")
        super().__init__(message)


class SnakescribeError(_Family):
    """A failure of the run as a whole. The message is one line and says what to do."""

    exit_code: ClassVar[int]
    http_status: ClassVar[int] = 500
    """Of the server's answer to the request that met it."""
    http_code: ClassVar[str] = "internal_error"


class FailedRecordings(SnakescribeError):
    """Everything is done, and some recordings failed (``on_error: fail``)."""

    exit_code = 1


class ConfigError(SnakescribeError):
    """An option is unknown, has the wrong type, or cannot go with another one."""

    exit_code = 2


class InputError(SnakescribeError):
    """The recordings folder or sample sheet cannot be used as it is."""

    exit_code = 3


class ResultsError(SnakescribeError):
    """The results cannot be written or read: read-only folder, full disk, damaged file."""

    exit_code = 4


class ModelError(SnakescribeError):
    """Weights are missing, damaged, or not what their checksum says."""

    exit_code = 5


class DeviceError(SnakescribeError):
    """The device or compute type that was asked for is not there."""

    exit_code = 6


class InstallationError(SnakescribeError):
    """Packages or ffmpeg are missing or do not work (``snakescribe doctor`` says which)."""

    exit_code = 8


class ImageError(SnakescribeError):
    """A container image or bundle is missing, damaged or not proved, or podman or docker failed."""

    exit_code = 9


class CrashError(SnakescribeError):
    """A command, a step or its ffmpeg crashed or was killed, at every try (no memory left?); its log says more."""

    exit_code = 10
    http_status = 503
    http_code = "engine_not_ready"


class ClusterError(SnakescribeError):
    """Slurm refuses jobs, forgets them, or does not answer."""

    exit_code = 11


class BusyError(SnakescribeError):
    """Another run works on the same results, or another server on the same state or address."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: what starts it may try again later


class RecordingError(_Family):
    """The fate of one recording; the class name and message go into its row."""

    http_status: ClassVar[int]
    """Of the server's answer when there is no transcript."""
    http_code: ClassVar[str]
    """Names it there for programs."""
    passing: ClassVar[bool] = False
    """The fault may be the machine's, and gone the next time: later runs try again, up to `attempts`."""
    advice: ClassVar[str]
    """What to do about it."""


class VanishedRecording(RecordingError):
    """The file was there when the inventory was taken and is gone now, or another one."""

    http_status = 422
    http_code = "vanished_recording"
    passing = True
    advice = "the next run looks again"


class DriveFailure(RecordingError):
    """The drive or network share failed while the file was read; nothing of it is kept."""

    http_status = 500
    http_code = "drive_failure"
    passing = True
    advice = "look after the drive or share; the next run tries again"


class UnreadableRecording(RecordingError):
    """No audio could be read: not a media file, a damaged header, no permission."""

    http_status = 415
    http_code = "unreadable_recording"
    advice = "play it, or copy it again from where it came"


class EmptyRecording(RecordingError):
    """The file holds no audio samples."""

    http_status = 422
    http_code = "empty_recording"
    advice = "copy it again, if there should be sound in it"


class NoAudioTrack(RecordingError):
    """A media file, but without an audio track."""

    http_status = 415
    http_code = "no_audio_track"
    advice = "there is nothing to transcribe"


class TruncatedRecording(RecordingError):
    """The file ends before its header says, and ``audio.truncated`` is ``fail``."""

    http_status = 422
    http_code = "truncated_recording"
    advice = "copy it again, or take what there is with audio.truncated=keep"


class TooLong(RecordingError):
    """Longer than ``audio.max_hours``."""

    http_status = 422
    http_code = "too_long"
    advice = "raise audio.max_hours, or cut the recording"


class TimedOut(RecordingError):
    """Decoding took longer than any honest file of that size would."""

    http_status = 422
    http_code = "timed_out"
    passing = True
    advice = "the next run tries again; if it stays so, the file is damaged"


class EngineFailure(RecordingError):
    """The recognition engine failed on this recording."""

    http_status = 500
    http_code = "engine_failure"
    passing = True
    advice = "the next run tries again; the log of its batch says more"


class OutOfMemory(RecordingError):
    """The kernel killed the engine on this recording for want of memory, with smaller buckets as well."""

    http_status = 507
    http_code = "out_of_memory"
    passing = True
    advice = "free some memory, or choose a smaller model; the next run tries again"


EXIT_CODES: dict[int, str] = {0: "Everything is done."} | {
    cls.exit_code: (cls.__doc__ or "").split("\n")[0] for cls in SnakescribeError.__subclasses__()
}
PASSING = frozenset(cls.__name__ for cls in RecordingError.__subclasses__() if cls.passing)
"""Names of the classes that later runs try again."""
ADVICE = {cls.__name__: cls.advice for cls in RecordingError.__subclasses__()}
"""What to do about failed recordings, by class."""
