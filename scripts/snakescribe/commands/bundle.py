"""A folder that a machine without network can be installed from: create it, verify it.

`create` needs the variant's image (`snakescribe image build`). On the other machine, `sh install.sh` in the folder
loads the image and lets it prove itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snakescribe.config import load_config


def register(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    filling = "fill a folder with the image, install.sh and what they need"
    create = actions.add_parser("create", help=filling, description=filling)
    create.set_defaults(action="create")
    create.add_argument("--variant", default="cpu", help="of containers/variants.yaml: cpu, cu117, cu118, cu126, cu130")
    create.add_argument("--model", default="base", help="that is in the image")
    create.add_argument("--models", type=Path, metavar="DIR", help="the model store (option `models`)")
    create.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    create.add_argument("--sif", action="store_true", help="also the Apptainer image (needs apptainer)")
    create.add_argument("--tool", choices=["docker", "podman"], help="the first that has the image")
    checking = "name every damaged or missing file"
    verify = actions.add_parser("verify", help=checking, description=checking)
    verify.set_defaults(action="verify")
    verify.add_argument("folder", type=Path, help="that `create` filled")


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    from snakescribe.images import bundle

    if args.action == "verify":
        bundle.verify(args.folder)
        print("every file is as it was")
        return 0
    from snakescribe.images.build import reference
    from snakescribe.images.tool import find_tool

    models = Path(load_config({"models": str(args.models)} if args.models else {}, Path.cwd()).models)
    bundle.create(
        find_tool(args.tool, reference(args.variant)), args.variant, models, args.model, args.out.absolute(), args.sif
    )
    print(args.out)
    return 0
