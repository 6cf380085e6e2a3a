"""The doctor: what is wrong with this installation, image or driver, in one line, before the night's work.

``gather`` looks (input and output only), ``diagnose`` judges (pure), ``quick`` is the cheap form for the start of a
job. The rules on drivers and GPUs are in ``cuda``, the variants of images in ``containers/variants.yaml``.
"""
