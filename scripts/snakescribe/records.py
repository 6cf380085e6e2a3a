"""The base of every record that is written once and never changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Fields do not change after the record is made, and a name that it does not have is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
