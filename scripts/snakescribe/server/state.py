"""What the routes share: one server's options and parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from snakescribe.config import Config
from snakescribe.server.intake import Intake
from snakescribe.server.metrics import Metrics

if TYPE_CHECKING:
    from snakescribe.server.closing import Closing
    from snakescribe.server.jobs import Jobs
    from snakescribe.server.proof import Proof


@dataclass
class Server:
    """One server."""

    config: Config
    intake: Intake
    metrics: Metrics
    jobs: Jobs
    proof: Proof
    closing: Closing
    uploads: Path
    """Where what is uploaded lies while it is needed."""
    needs_key: bool


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server
