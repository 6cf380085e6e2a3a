"""What the server's page and the report share: colours, and the sentences about a recording in both languages."""

from pathlib import Path

SHARED = Path(__file__).parent
