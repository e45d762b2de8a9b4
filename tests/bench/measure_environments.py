"""A changed `requirements.txt`, and the same script again, against `docker build` with pip."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from harness import Table, first_output, median, temporary_box
from measure_runs import first_line, image_of

from labbox.model import JobSpec

SCRIPT = (
    "import numpy, scipy, pandas, matplotlib.pyplot\nimport scipy.stats\nprint('labbox-bench', flush=True)\n"
)
PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")


def docker_build(folder: Path, image: str, tag: str, packages: list[str]) -> None:
    """`docker build` with `pip install`, with the box's package index settings handed in."""
    config = folder / "site"
    config.mkdir(parents=True, exist_ok=True)
    for source in (
        "/etc/pip.conf",
        str(Path.home() / ".config/pip/pip.conf"),
        "/etc/ssl/certs/ca-certificates.crt",
    ):
        if Path(source).exists():
            (config / f"{source.replace('/', '_')}").write_bytes(Path(source).read_bytes())
    copies = "".join(
        f"COPY site/{path.name} {path.name.replace('_', '/')}\n"
        for path in config.iterdir()
        if path.is_file()
    )
    (folder / "Dockerfile").write_text(
        f"FROM {image}\nUSER root\n{copies}ENV PIP_CONFIG_FILE=/root/.config/pip/pip.conf\n"
        "RUN apt-get update -q && apt-get install -y -q --no-install-recommends python3-pip\n"
        f"RUN pip install --break-system-packages {' '.join(packages)}\n"
        f"COPY app.py /code/app.py\n"
    )
    (folder / "app.py").write_text(SCRIPT)
    subprocess.run(["docker", "build", "-q", "-t", tag, folder], check=True, stdout=subprocess.DEVNULL)


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box, tempfile.TemporaryDirectory() as name:
        image = image_of(box)
        folder = Path(name)
        client = box.client(act_as="ada")
        box.put(
            "ada",
            "study",
            {"code/app.py": SCRIPT, "requirements.txt": "\n".join(PACKAGES) + "\n", "input/x": ""},
        )
        first_line(client, JobSpec(path="study"))  # warm caches, as both have
        docker_build(folder, image, "labbox-bench:baked", list(PACKAGES))
        box.put("ada", "study", {"requirements.txt": "\n".join([*PACKAGES, "six", "cycler"]) + "\n"})
        changed = first_line(client, JobSpec(path="study"))
        started = time.perf_counter()
        docker_build(folder, image, "labbox-bench:changed", [*PACKAGES, "six", "cycler"])
        built = time.perf_counter() - started
        run = ["docker", "run", "--rm", "labbox-bench:changed", "python3", "/code/app.py"]
        built += first_output(run, b"labbox-bench")
        ratio = changed / built
        table.add(
            "changed `requirements.txt`, warm caches: submit to first output",
            "`docker build` with pip, then `docker run`",
            "≤ 0.20",
            f"{ratio:.2f} ({changed:.1f} s against {built:.1f} s)",
            ratio <= 0.20,
        )
        subprocess.run(
            ["docker", "build", "-q", "-t", "labbox-bench:bytecode", "-"],
            input=b"FROM labbox-bench:changed\nRUN python3 -m compileall -q /usr/local/lib || true\n",
            check=True,
            stdout=subprocess.DEVNULL,
        )
        ours, theirs = [], []
        baked = [
            "docker",
            "run",
            "--rm",
            "--network",
            "none",
            "labbox-bench:bytecode",
            "python3",
            "/code/app.py",
        ]
        for _ in range(7):
            ours.append(first_line(client, JobSpec(path="study")))
            theirs.append(first_output(baked, b"labbox-bench"))
        ratio = median(ours) / median(theirs)
        table.add(
            "the same script again",
            "`docker run` of an image with all that baked in",
            "≤ 1.25",
            f"{ratio:.2f} ({median(ours):.2f} s against {median(theirs):.2f} s)",
            ratio <= 1.25,
        )
