"""Write requirements/*.txt anew from pyproject.toml: every version and every hash. `make lock` runs this (10 min).

runtime.txt     what a run needs
everything.txt  the same versions, and what tests and checks need
slurm.txt       the same versions, and of what Slurm needs only what runtime.txt has not
bench.txt       the same versions, and of what `make bench` needs only what runtime.txt and no-deps.txt have not
torch-cpu.txt   torch's CPU build, where it can be had: installed first, it is what runtime.txt asks for
cuda.txt        what only torch's CUDA build needs; given to pip as constraints, so that the CPU build takes none of it
no-deps.txt     what is installed without its dependencies; all of them but UNWANTED are in runtime.txt or cuda.txt
cu117.txt       what the image variant cu117 has instead of the packages of these names, and what only it has
bootstrap.txt   pip and setuptools themselves; kept by hand
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"

TORCH = "2.13.0"
TORCH_CPU = {
    "cp311": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "cp312": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "cp313": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
}
"""SHA-256 of PyTorch's CPU builds for x86-64 Linux, which pip-compile does not see. cp311 was computed from the wheel;
the others are what several projects' locks agree on."""

ONLY_CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton==)")
NO_DEPS = re.compile(r"(openai-whisper|openvino)==")
"""The first asks for triton on every Linux; it is used on CUDA only, and there torch brings it. The second asks for
UNWANTED."""
UNWANTED = re.compile(r"openvino-telemetry==")
"""Reports every `import openvino` to its maker; where it is missing, OpenVINO takes its own stub that does nothing."""

CU117 = ("torch==2.0.1", "numpy==1.26.4", "pandas==2.3.3", "pyarrow==23.0.1")
"""The last torch for CUDA 11 that every index has; it was built for NumPy 1, and these pandas and pyarrow are the last
that know that."""
UNUSED = re.compile(r"(triton|cmake|lit|wheel)==")
"""Only torch.compile loads triton, which nobody calls here, and triton 2.0 asks for what it was built with."""

COMPILE = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--no-emit-index-url"]
COMPILE += ["--no-emit-trusted-host", "--no-emit-find-links", "--strip-extras", "--allow-unsafe", "--no-header"]
COMPILE += ["--annotation-style", "line"]

Package = str
"""The lines of one package: `name==version \\`, its hashes, a comment saying who asked for it."""


def main() -> None:
    """Resolve twice, the second time bound to the versions of the first; then sort the packages into files."""
    with tempfile.TemporaryDirectory() as scratch:
        names = ("torch.txt", "runtime.txt", "everything.txt", "bench.txt", "slurm.txt")
        pinned, first, second, third, fourth = (Path(scratch) / name for name in names)
        pinned.write_text(f"torch=={TORCH}\n")
        compiled(first, "--constraint", str(pinned))
        compiled(second, "--constraint", str(first), "--extra=dev")
        compiled(third, "--constraint", str(second), "--extra=bench")
        compiled(fourth, "--constraint", str(first), "--extra=slurm")
        write(*(packages(lock.read_text()) for lock in (first, second, third, fourth)))
    write_cu117()


def write_cu117() -> None:
    """Resolve once more with the older packages, bound to the written locks in all else."""
    names = {pin.partition("==")[0] for pin in CU117}
    usual = {pin for lock in ("runtime.txt", "no-deps.txt") for pin in pins(packages((LOCKS / lock).read_text()))}
    with tempfile.TemporaryDirectory() as scratch:
        bound, found = Path(scratch) / "bound.txt", Path(scratch) / "cu117.txt"
        bound.write_text("\n".join([*CU117, *(pin for pin in usual if pin.partition("==")[0] not in names)]))
        compiled(found, "--constraint", str(bound))
        older = [package for package in packages(found.read_text()) if not usual.issuperset(pins([package]))]
    apart = re.compile(f"{UNUSED.pattern}|{UNWANTED.pattern}")
    text = "".join(package for package in older if not apart.match(package))
    (LOCKS / "cu117.txt").write_text("# Written by `make lock`.\n" + text)


def pins(lock: list[Package]) -> list[str]:
    """``name==version`` of each package."""
    return [package.split()[0] for package in lock]


def compiled(target: Path, *options: str) -> None:
    """Resolve pyproject.toml into ``target``."""
    subprocess.run([*COMPILE, "pyproject.toml", *options, "--output-file", str(target)], cwd=ROOT, check=True)


def packages(text: str) -> list[Package]:
    """The packages of a lock, in order; comments that stand alone are dropped."""
    found = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\n(?:[ ]+[^\n]*\n)*", text, re.MULTILINE)
    return [re.sub(r"-c \S*/(?:everything|runtime|torch|bound).txt, ", "", package) for package in found]


def write(runtime: list[Package], everything: list[Package], bench: list[Package], slurm: list[Package]) -> None:
    """Sort the packages of the four locks into their files."""
    apart = re.compile(f"{ONLY_CUDA.pattern}|{NO_DEPS.pattern}|{UNWANTED.pattern}")
    cpu = [f"torch=={TORCH}+cpu", *(f"    --hash=sha256:{digest}" for digest in TORCH_CPU.values())]
    for name, lock in {
        "torch-cpu.txt": [" \\\n".join(cpu) + "\n"],
        "cuda.txt": [package for package in runtime if ONLY_CUDA.match(package)],
        "no-deps.txt": [package for package in runtime if NO_DEPS.match(package)],
        "runtime.txt": [package for package in runtime if not apart.match(package)],
        "everything.txt": [package for package in everything if not apart.match(package)],
        "bench.txt": beyond(bench, runtime),
        "slurm.txt": beyond(slurm, runtime),
    }.items():
        (LOCKS / name).write_text("# Written by `make lock`.\n" + "".join(lock))


def beyond(lock: list[Package], other: list[Package]) -> list[Package]:
    """The packages of ``lock`` that ``other`` has not."""
    names = {package.partition("==")[0] for package in other}
    return [package for package in lock if package.partition("==")[0] not in names]


if __name__ == "__main__":
    main()
