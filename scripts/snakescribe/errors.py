"""Every failure a user can cause: one class, one line that says what to do, one exit code.

Two families. A :class:`SnakescribeError` ends a step with its ``exit_code``. A :class:`RecordingError` is
the fate of one recording: it becomes a row (``error_class``, ``error_message``) and the others go on.
"""

from __future__ import annotations

from typing import ClassVar


class SnakescribeError(Exception):
    """A failure of the run as a whole. The message is one line and says what to do."""

    exit_code: ClassVar[int] = 1


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


class BusyError(SnakescribeError):
    """Another run works on the same results, or another server on the same state or address."""

    exit_code = 7


class InstallationError(SnakescribeError):
    """Packages or ffmpeg are missing or do not work (``snakescribe doctor`` says which)."""

    exit_code = 8


class ImageError(SnakescribeError):
    """A container image or bundle is missing, damaged or not proved, or podman or docker failed."""

    exit_code = 9


class RecordingError(Exception):
    """The fate of one recording; the class name and message go into its row."""


class VanishedRecording(RecordingError):
    """The file was there when the inventory was taken and is gone now."""


class UnreadableRecording(RecordingError):
    """No audio could be read: not a media file, a damaged header, no permission."""


class EmptyRecording(RecordingError):
    """The file holds no audio samples."""


class NoAudioTrack(RecordingError):
    """A media file, but without an audio track."""


class TruncatedRecording(RecordingError):
    """The file ends before its header says, and ``audio.truncated`` is ``fail``."""


class TooLong(RecordingError):
    """Longer than ``audio.max_hours``."""


class TimedOut(RecordingError):
    """Decoding took longer than any honest file of that size would."""


class EngineFailure(RecordingError):
    """The recognition engine failed on this recording."""


EXIT_CODES: dict[int, str] = {0: "everything done"} | {
    cls.exit_code: (cls.__doc__ or "").split("\n")[0]
    for cls in (
        FailedRecordings,
        ConfigError,
        InputError,
        ResultsError,
        ModelError,
        DeviceError,
        BusyError,
        InstallationError,
        ImageError,
    )
}
