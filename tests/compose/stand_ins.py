"""Images of the same names as the real ones, for machines that can fetch none.

Made of what package registries have: Debian's packages by debootstrap and apt, Java programs by
Maven. They take what deploy/compose.yml and the Dockerfile give them as the real ones do; an
image that is there already is used as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.jars import DEBEZIUM_POM, KAFKA_POM, fetch_jars
from deploy.local.kafka import LOG_SETTINGS
from deploy.local.registry import REGISTRY_POM
from tests.compose.engine import Engine

FOLDER = Path(__file__).parent / "stand_ins"
JARS = {
    "kafka": KAFKA_POM,
    "connect": DEBEZIUM_POM,
    "apicurio-registry-kafkasql": REGISTRY_POM,
}
LABEL = "bemi.stand-in"
BASE = re.compile(r"^FROM (bemi-stand-in/(\w+))$", re.MULTILINE)
# How this machine reaches its registries is how the builds in its containers do.
OF_THIS_MACHINE = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")


def ensure(engine: Engine, image: str, scratch: Path) -> None:
    """Build a stand-in for the image unless the real one is there.

    One that was built before is brought up to date, which takes a moment.
    """
    if engine.has_image(image) and not engine.has_image(image, label=LABEL):
        return
    name = image.split(":")[0].rpartition("/")[2]
    context = scratch / name
    shutil.copytree(FOLDER / name, context)
    base = BASE.search((context / "Dockerfile").read_text())
    assert base is not None, f"{name} begins with no Debian of ours"
    if not engine.has_image(base[1]):
        _import_debian(engine, base[1], base[2], scratch / base[2])
    if name in JARS:
        shutil.copytree(fetch_jars(JARS[name]), context / "jars")
        shutil.copy(LOG_SETTINGS, context)
    engine.build(image, context, "--label", LABEL)


def _import_debian(engine: Engine, image: str, release: str, root: Path) -> None:
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", release, str(root)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    for name in OF_THIS_MACHINE:
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, root / name)
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        assert archive.stdout is not None
        engine.run(["docker", "import", "-", image], stdin=archive.stdout.fileno())
    assert archive.returncode == 0
    shutil.rmtree(root)
