"""How far texts are from references: error rates with intervals, and two runs side by side."""
