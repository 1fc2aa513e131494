"""Writes each shell script that stands in a YAML file of GitHub or GitLab into a file of its own: scripts.py FILE FOLDER."""

import pathlib
import sys

from ruamel.yaml import YAML


def scripts(node):
    """Yields the scripts: `run` of a step, and the lines of `script`, which one shell runs."""
    if isinstance(node, list):
        for one in node:
            yield from scripts(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "run" and isinstance(value, str):
                yield value
            elif key in ("script", "before_script", "after_script") and isinstance(value, list):
                yield "\n".join(value)
            else:
                yield from scripts(value)


source, folder = map(pathlib.Path, sys.argv[1:])
count = 0
for count, script in enumerate(scripts(YAML(typ="safe").load(source)), 1):
    (folder / f"{source.stem}-{count}.sh").write_text(script + "\n")
print(f"{source}: {count} scripts")
