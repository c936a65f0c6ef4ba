"""Renders the chart."""

import json
import subprocess
import sys

import yaml

CHART = "deploy/helm/timpush-exporter"


def run(*command, given=None):
    """Its standard output; the errors of a command that fails are shown."""
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"chart: {' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def template(helm, version, *flags, chart=CHART, release="prod"):
    """The command that renders."""
    return [helm, "template", release, chart, "--kube-version", f"{version}.0", *flags]


class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses a key that stands twice: the last one would win silently."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        must(len(keys) == len(set(keys)), f"a key stands twice{node.start_mark}: {keys}")
        return super().construct_mapping(node, deep)


def rendered(*arguments, given=None, **named):
    """The objects, by kind and name; `given` are values."""
    values = ["--values", "-"] if given else []
    text = run(*template(*arguments, *values, **named), given=json.dumps(given))
    objects = [thing for thing in yaml.load_all(text, Loader=Strict) if thing]
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}


def objects_of(objects, *kinds):
    """Those of these kinds, each with its kind."""
    return [(kind, thing) for (kind, _), thing in objects.items() if kind in kinds]


def must(holds, what):
    """Ends where it does not."""
    if not holds:
        sys.exit(f"chart: {what}")
