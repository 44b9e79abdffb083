"""Replace what a value says is kept elsewhere.

`${env:NAME}`, `${file:PATH:KEY}` of a properties file, `${dir:PATH:NAME}` of a file's content:
these are the three providers that Kafka itself brings. The names are those that the properties
config.providers give them, or the usual ones; what another provider keeps cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import javaproperties

from runtime.settings import InvalidSettings

Provider = Callable[[str, str], str]

_CLASSES: Final = {
    "EnvVarConfigProvider": "env",
    "FileConfigProvider": "file",
    "DirectoryConfigProvider": "dir",
}
_USUAL: Final = {"env": "env", "file": "file", "dir": "dir", "directory": "dir"}
_REFERENCE = re.compile(r"\$\{([^}:]*):(?:([^}]*?):)?([^}:]*)\}")


def resolve(properties: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the properties with every reference replaced, without those about providers.

    Raises InvalidSettings for a reference that cannot be followed, naming the property only:
    what it refers to is usually a secret.
    """
    providers: dict[str, Provider] = {
        "env": lambda _, key: environ[key],
        "file": lambda path, key: javaproperties.loads(Path(path).read_text(encoding="utf-8"))[key],
        "dir": lambda path, key: (Path(path) / key).read_text(encoding="utf-8"),
    }
    kinds = _USUAL | _configured(properties)
    resolved = {}
    for name, value in properties.items():
        if name == "config.providers" or name.startswith("config.providers."):
            continue

        def follow(reference: re.Match[str], name: str = name) -> str:
            provider, path, key = reference[1], reference[2] or "", reference[3]
            if provider not in kinds:
                raise InvalidSettings(
                    f"{name} refers to the provider {provider}, and only env, file and dir "
                    "can be read"
                )
            try:
                return providers[kinds[provider]](path, key)
            except (OSError, ValueError, KeyError) as error:
                raise InvalidSettings(
                    f"{name} refers to {reference[0]}, which cannot be read: {error!r}"
                ) from error

        resolved[name] = _REFERENCE.sub(follow, value)
    return resolved


def _configured(properties: Mapping[str, str]) -> dict[str, str]:
    kinds = {}
    for provider in properties.get("config.providers", "").split(","):
        class_name = properties.get(f"config.providers.{provider.strip()}.class", "")
        kind = _CLASSES.get(class_name.strip().rpartition(".")[2])
        if kind is not None:
            kinds[provider.strip()] = kind
    return kinds
