"""The channels of one recording on disk: written as they are decoded, then joined with the silences of its clock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from snakescribe.audio.clock import Clock, spread
from snakescribe.audio.fold import Block


class ChannelFiles:
    """One file of samples (s16le) per channel, without a name, in the folder of ``target``."""

    def __init__(self, target: BinaryIO, channels: int) -> None:
        """A single channel is written to ``target`` itself, which is at its end."""
        self._target, self._start = target, target.tell()
        self._files = [target] if channels == 1 else [self._file() for _ in range(channels)]
        self._samples = 0

    def write(self, block: Block) -> None:
        """Sound of shape (samples, channels)."""
        for number, file in enumerate(self._files):
            file.write(block[:, number].astype("<i2").tobytes())
        self._samples += len(block)

    def finish(self, clock: Clock) -> int:
        """All channels one after the other in ``target``; the samples of each, silences included."""
        if self._files == [self._target]:
            if not clock.seconds:
                return self._samples
            self._files = [self._file()]
            self._target.seek(self._start)
            spread(self._target, self._samples, Clock(), self._files[0])
            self._target.seek(self._start)
            self._target.truncate()  # what lies there would be heard again in the silences
        samples = 0
        for file in self._files:
            file.seek(0)
            samples = spread(file, self._samples, clock, self._target)
            file.close()
        return samples

    def drop(self) -> None:
        """Give the files' room back; what is in ``target`` the next pass cuts off."""
        for file in self._files:
            if file is not self._target:
                file.close()

    def _file(self) -> BinaryIO:
        return cast("BinaryIO", tempfile.TemporaryFile(dir=Path(self._target.name).parent))
