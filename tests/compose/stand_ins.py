"""Images of the same names as the real ones, for machines that can fetch none.

Made of what package registries have: Debian's packages by debootstrap and apt, Kafka's jars by
Maven. They take what deploy/compose.yml and the Dockerfile give them as the real ones do; an
image that is there already is used as it is.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from deploy.local.jars import KAFKA_POM, fetch_jars
from deploy.local.kafka import LOG_SETTINGS
from tests.compose.engine import Engine

FOLDER = Path(__file__).parent / "stand_ins"
DEBIAN = "bemi-stand-in/debian"
RELEASE = "bookworm"
# How this machine reaches its registries is how the builds in its containers do.
OF_THIS_MACHINE = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")


def ensure(engine: Engine, image: str, scratch: Path) -> None:
    """Build a stand-in for the image unless there is such an image."""
    if engine.has_image(image):
        return
    if not engine.has_image(DEBIAN):
        _import_debian(engine, scratch / "debian")
    name = image.split(":")[0].rpartition("/")[2]
    context = scratch / name
    shutil.copytree(FOLDER / name, context)
    if name == "kafka":
        shutil.copytree(fetch_jars(KAFKA_POM), context / "jars")
        shutil.copy(LOG_SETTINGS, context)
    engine.build(image, context)


def _import_debian(engine: Engine, root: Path) -> None:
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", RELEASE, str(root)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    for name in OF_THIS_MACHINE:
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, root / name)
    archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    assert archive.stdout is not None
    engine.run(["docker", "import", "-", DEBIAN], stdin=archive.stdout.fileno())
    assert archive.wait() == 0
    shutil.rmtree(root)
