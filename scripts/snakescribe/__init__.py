"""Folders of recordings in, trustworthy transcripts and tables out.

The rooms follow the way of the data: ``config`` → ``inventory`` → ``audio`` → ``speech`` → ``engine`` →
``transcript`` → ``tables``/``formats``. Nothing here imports torch until an engine is asked for.
"""

__version__ = "0.1.0"
