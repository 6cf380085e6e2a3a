"""Transcript files for people and players: json, txt, srt and vtt, made from batch files without a model."""
