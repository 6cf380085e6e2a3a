"""Mend an image without network: a derived one with wheels installed over it; no container of it needs to run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from snakescribe.errors import ImageError
from snakescribe.images.tool import Tool

# First every wheel, also over the same version, whose files may be damaged; then what they need is looked for, and its
# want ends the build.
_CONTAINERFILE = """\
FROM {image}
USER 0
COPY wheels /wheels
RUN set -e; \\
    for python in /opt/venv/bin/python /usr/local/bin/python3 python3 python; do \\
        command -v "$python" > /dev/null && break; \\
    done; \\
    command -v "$python" > /dev/null || {{ echo "there is no Python in this image" >&2; exit 1; }}; \\
    for pip in "$python -m pip" "$python $(echo /wheels/pip-*.whl)/pip"; do \\
        $pip --version > /dev/null 2>&1 && break; \\
    done; \\
    $pip --version > /dev/null 2>&1 || {{ echo "there is no pip in this image; add its wheel" >&2; exit 1; }}; \\
    wanted=$(cd /wheels && ls | sed -E 's/^([^-]+)-([^-]+)-.*/\\1==\\2/'); \\
    for how in "--no-deps --force-reinstall" ""; do \\
        PIP_BREAK_SYSTEM_PACKAGES=1 $pip install --no-index --no-cache-dir --root-user-action ignore \\
            --find-links /wheels $how $wanted; \\
    done; \\
    rm -rf /wheels; \\
    $pip check | grep -vE 'openvino-telemetry|requires triton' || true
USER {user}
"""


def patch(tool: Tool, image: str, wheels: Path, tag: str) -> None:
    """Make ``tag`` from ``image`` with every wheel of a folder installed, replacing other versions.

    Works for images that are not ours too, if they have a Python; a wheel of pip in the folder serves where the
    image has none.

    Raises:
        ImageError: no wheels, no image, or the installation failed (the new image is not made then).
    """
    if not any(wheels.glob("*.whl")):
        raise ImageError(f"there are no wheels (*.whl) in {wheels}; put what is missing there (`pip download`)")
    tool.need(image)
    user = tool.run("image", "inspect", "--format", "{{.Config.User}}", image, capture=True) or "0"
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        (context / "wheels").mkdir()
        for wheel in wheels.glob("*.whl"):
            shutil.copy2(wheel, context / "wheels")
        text = _CONTAINERFILE.format(image=image, user=user)
        (context / "Containerfile").write_text(text, encoding="utf-8")
        command = ["build", "--network", "none", "--file", str(context / "Containerfile"), "--tag", tag]
        command += ["--format", "docker"] if tool.name == "podman" else []
        tool.run(*command, str(context))
