"""What all voices have in common, to be taken away before they are compared: once for each band.

The encoder was trained on wide-band speech. In telephone band every vector lies in one direction from what it was: of
different speakers the cosines are 0.34 in the mean (the highest twentieth 0.59) there and 0.09 (0.27) otherwise;
without what is common -0.02 (0.27) and -0.03 (0.16). See docs/decisions/speakers.md for the voices.
"""

from importlib.resources import files

import numpy as np

WIDE, NARROW = np.array(
    files(__package__).joinpath("common.txt").read_text(encoding="ascii").split(), np.float32
).reshape(2, 192)
"""Each shape (192,): the mean over 43 voices, and over 56 of which ten came through a real telephone."""
