"""Validates objects that are not Kubernetes' own with their CRDs, which .ci/extras gets."""

import jsonschema
import yaml

from chart import must

KINDS = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}


def closed(schema):
    """Refuses unknown fields too: a cluster would drop them silently."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    return inner


def crds(folder):
    """The schema of each version of each kind."""
    found = {}
    for file in folder.glob("*.yaml"):
        crd = yaml.safe_load(file.read_text())["spec"]
        for version in crd["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            found[f"{crd['group']}/{version['name']}", crd["names"]["kind"]] = schema
    must(KINDS == {kind for _, kind in found}, f"{folder} has CRDs of {sorted(found)}: expected {sorted(KINDS)}")
    return found


def check(thing, known):
    """Whether it is of a known CRD; ends where it is and not valid."""
    schema = known.get((thing["apiVersion"], thing["kind"]))
    if schema:
        for error in jsonschema.Draft202012Validator(schema).iter_errors(thing):
            must(False, f"{thing['kind']} {error.json_path}: {error.message}")
    return schema
