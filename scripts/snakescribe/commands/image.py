"""Container images: collect wheels, build, verify, save, load, patch (see docs/operations/images.md).

Works with podman or docker. Only `wheels` needs a package index; nothing needs a hub.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from snakescribe.config import load_config


def register(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    parser.set_defaults(action=None)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, meaning: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=meaning, description=meaning)
        sub.set_defaults(action=name)
        if name != "wheels":
            sub.add_argument("--tool", choices=["docker", "podman"], help="the first that has the image")
        return sub

    def variant(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--variant", default="cpu", help="of containers/variants.yaml: cpu, cu117, cu118, cu126, cu130"
        )

    wheels = action("wheels", "collect every wheel of a variant, checked by hash")
    wheels.add_argument("--torch-index", metavar="URL", help="package index that has the variant's torch")
    build = action("build", "build the image of a variant; it is finished only if it proves itself")
    build.add_argument("--model", default="base", help="baked in; must be in the model store")
    build.add_argument("--models", type=Path, metavar="DIR", help="the model store (option `models`)")
    build.add_argument("--base", default="debian:bookworm-slim", help="base image with glibc and, better, Python 3.11")
    build.add_argument("--network", default="none", choices=["none", "host"], help="`host` for a base without Python")
    for sub in (wheels, build):
        variant(sub)
        sub.add_argument("--wheels", type=Path, metavar="DIR", help="the wheels; .images/VARIANT/wheels")
    save = action("save", "write an image as one file, and its SHA-256")
    variant(save)
    save.add_argument("--image", help="other than the variant's own")
    save.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where to")
    load = action("load", "check an archive and load it")
    load.add_argument("archive", type=Path, help="what `save` wrote; its SHA-256 beside it")
    verify = action("verify", "let an image prove itself, without network")
    verify.add_argument("image", nargs="?", help="the cpu variant's own")
    verify.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu", help="`STT_DEVICE` in it")
    verify.add_argument("--gpus", action="store_true", help="give it the GPUs (docker --gpus all, podman CDI)")
    patch = action("patch", "make an image from another one with wheels installed over it")
    patch.add_argument("--image", required=True, metavar="OLD", help="the image to start from")
    patch.add_argument("--wheels", type=Path, required=True, metavar="DIR", help="what to install over it")
    patch.add_argument("--tag", required=True, metavar="NEW", help="name of the new image")


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    if args.action == "wheels":
        return _wheels(args)
    from snakescribe.images.build import reference
    from snakescribe.images.tool import find_tool

    image: str = getattr(args, "image", None) or reference(getattr(args, "variant", "cpu"))
    tool = find_tool(args.tool, image if args.action in ("save", "verify", "patch") else None)
    match args.action:
        case "build":
            from snakescribe.images.build import build

            models = Path(load_config({"models": str(args.models)} if args.models else {}, Path.cwd()).models)
            folder = _folder(args)
            image = build(tool, args.variant, folder, models, args.model, args.base, args.network)
            print(f"{image} ({tool.size(image) / 1e9:.1f} GB)")
        case "save":
            from snakescribe.images.archive import save

            print(save(tool, image, args.variant, args.out.absolute()))
        case "load":
            from snakescribe.images.archive import load

            print(load(tool, args.archive))
        case "verify":
            tool.need_ours(image)
            options = ["--read-only", "--env", f"STT_DEVICE={args.device}", *(tool.gpus() if args.gpus else [])]
            tool.container(image, ["selftest"], *options)
        case "patch":
            from snakescribe.images.patch import patch

            patch(tool, args.image, args.wheels, args.tag)
            print(args.tag)
            how = f"`snakescribe image verify {args.tag} --tool {tool.name}` (ours), or start it (others)"
            print(f"prove it: {how}", file=sys.stderr)
    return 0


def _folder(args: argparse.Namespace) -> Path:
    wheels: Path = args.wheels or Path(".images") / args.variant / "wheels"
    return wheels.absolute()


def _wheels(args: argparse.Namespace) -> int:
    from snakescribe.images.build import variant_named
    from snakescribe.images.wheels import collect

    folder = _folder(args)
    names = collect(variant_named(args.variant), folder, args.torch_index)
    size = sum(os.stat(folder / name).st_size for name in names)  # noqa: PTH116
    print(f"{len(names)} wheels, {size / 1e6:,.0f} MB in {folder}")
    return 0
