"""What the server's page and the report share: colours, sentences about a recording, and the choice of language."""

from pathlib import Path

SHARED = Path(__file__).parent
