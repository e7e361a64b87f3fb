"""A software bill of materials of the environment that runs this, without the network: ``make bill``, part of ``.ci/run``.

Writes ``sbom.json`` in CycloneDX: name, version, licence and address of every installed package. ``make dependencies``
writes a fuller one with a tool of its own, and asks for known vulnerabilities.
"""

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def bill(packages: list[metadata.Distribution]) -> dict[str, Any]:
    """The bill of materials of installed packages, each once, by name."""
    components = {(one["name"], one["version"]): one for one in map(_component, packages)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [components[key] for key in sorted(components)],
    }


def _component(package: metadata.Distribution) -> dict[str, Any]:
    facts = package.metadata
    name = re.sub(r"[-_.]+", "-", str(facts["Name"])).lower()
    licence = facts.get("License-Expression") or (facts.get("License") or "").strip()
    component: dict[str, Any] = {"type": "library", "name": name, "version": package.version}
    if licence and "\n" not in licence:  # some put the whole text there
        key = "expression" if facts.get("License-Expression") else "license"
        component["licenses"] = [{key: licence if key == "expression" else {"name": licence}}]
    return {**component, "purl": f"pkg:pypi/{name}@{package.version}"}


def main() -> int:
    """Write the bill to the file that is named, or to ``sbom.json``."""
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "sbom.json")
    found = bill(list(metadata.distributions()))
    place.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{place} lists the {len(found['components'])} packages of this environment.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
