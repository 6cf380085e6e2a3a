"""``python -m snakescribe``."""

import sys

from snakescribe.cli import main

sys.exit(main())
