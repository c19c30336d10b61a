"""The image, built by Debian's buildah without any engine, and its containers as processes of this machine.

In the place of Docker Hub's images stand roots that debootstrap makes of Debian's packages, kept as archives in the
cache of `tools.py`. Steps of the Dockerfile run in chroots. A container is a chroot with namespaces of its own for
mounts and processes, the image's user, and a read-only root; the network is this machine's. Needs root.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploy import tools

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NPM = "npm@10.9.3"  # as in Docker Hub's node:22; Debian's own is too old for the page's overrides
_APT = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
_START = """
set -eu
mount --bind "$1" "$1"
for pair in $2; do mount --bind "${pair#*:}" "$1${pair%%:*}"; done
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1; shift 2
exec chroot --userspec=65532:65532 "$root" "$@"
"""


#: Of the bases, so that what is fetched in them is fetched as this machine does it.
BASE_ENVIRON = {"PIP_CERT": CERTIFICATES, "NODE_EXTRA_CA_CERTS": CERTIFICATES, "npm_config_cafile": CERTIFICATES}


@dataclass(frozen=True)
class Image:
    """A built image. layers: digests of what is in them, not of how it is packed."""

    store: "Store"
    name: str

    def _inspect(self) -> dict[str, Any]:
        said = self.store.buildah("inspect", "--type", "image", f"localhost/{self.name}")
        found: dict[str, Any] = json.loads(said)["OCIv1"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self._inspect()["config"]
        return found

    @property
    def layers(self) -> list[str]:
        found: list[str] = self._inspect()["rootfs"]["diff_ids"]
        return found

    @property
    def environ(self) -> dict[str, str]:
        """The image's own, without what the stand-in for its base needs."""
        pairs = dict(entry.split("=", 1) for entry in self.config["Env"])
        return {name: value for name, value in pairs.items() if name not in BASE_ENVIRON}

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Its files, to be read."""
        container = self.store.buildah("from", "--pull-never", f"localhost/{self.name}").strip()
        try:
            yield Path(self.store.buildah("mount", container).strip())
        finally:
            self.store.buildah("rm", container)


class Store:
    """buildah's own, in a folder; `close` leaves nothing of it."""

    def __init__(self, folder: Path) -> None:
        for program in ("buildah", "debootstrap"):
            if shutil.which(program) is None:
                pytest.fail(f"{program} is missing, which builds the image without an engine (Debian: {program})")
        self.folder = folder
        self._options = ["--root", str(folder / "root"), "--runroot", str(folder / "run")]

    def buildah(self, *arguments: str) -> str:
        done = subprocess.run(["buildah", *self._options, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"buildah {arguments}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def make_bases(self) -> None:
        """localhost/python and localhost/node."""
        python, npm = ["python3", "python3-venv", "python3-pip"], ["nodejs", "npm"]
        self._import(_root("python", python), "python", ["ln", "-sf", "python3", "/usr/bin/python"])
        self._import(_root("node", npm), "node", ["npm", "install", "-g", "--silent", NPM])

    def _import(self, archive: Path, name: str, then: list[str]) -> None:
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, str(archive), "/")
        self.buildah("copy", "--quiet", container, CERTIFICATES, CERTIFICATES)
        pairs = [f"--env={key}={value}" for key, value in BASE_ENVIRON.items()]
        self.buildah("config", *pairs, container)
        self.buildah("run", "--isolation", "chroot", container, "--", *then)
        self.buildah("commit", "--quiet", container, f"localhost/{name}")
        self.buildah("rm", container)

    def build(self, context: Path, name: str, arguments: Mapping[str, str]) -> Image:
        """arguments: as of --build-arg."""
        given = {"BASE": "localhost/python", "NODE": "localhost/node", **arguments}
        pairs = [part for key, value in given.items() for part in ("--build-arg", f"{key}={value}")]
        options = ["--isolation", "chroot", "--pull-never", "--no-cache", "--timestamp", "1767225600"]
        self.buildah("bud", *options, *pairs, "-t", f"localhost/{name}", str(context))
        return Image(self, name)

    def close(self) -> None:
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")
        subprocess.run(["umount", "--quiet", "--recursive", self.folder / "root" / "overlay"], check=False)
        shutil.rmtree(self.folder)


def start(
    root: Path, folders: Mapping[str, Path], command: Sequence[str], environ: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """A container's process, as its user. folders: path in the container to the folder that is mounted there; nothing
    else can be written. It ends with everything in it when it is killed.
    """
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 65532, 65532)
    pairs = " ".join(f"{path}:{folder}" for path, folder in folders.items())
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*unshare, "sh", "-c", _START, "container", str(root), pairs, *command],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _root(name: str, packages: list[str]) -> Path:
    """An archive of a Debian root with these packages, made once."""

    def install(folder: Path) -> None:
        root = folder / "root"
        _succeed(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)])
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        _succeed(["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", *_APT, *packages])
        for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            marker.unlink()  # as in Docker Hub's python, pip owns what it installs
        shutil.rmtree(root / "var" / "cache" / "apt")
        subprocess.run(["tar", "--numeric-owner", "-C", root, "-cf", folder / "root.tar", "."], check=True)
        shutil.rmtree(root)

    return tools.installed(f"debian-bookworm-{name}", install) / "root.tar"


def _succeed(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"is deb.debian.org reached? {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
