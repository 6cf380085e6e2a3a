"""Transcript files for people, players and other tools, made from batch files without a model."""
