"""Tests each value of the chart: what it changes in the rendered objects, and which values are refused.

A value without a test, and a test whose value changes nothing, are errors.
"""

import json
import pathlib
import subprocess

import kubernetes_validate
import yaml

import schemas
from chart import CHART, must, rendered, template

NAME = "prod-timpush-exporter"
DIGEST = "sha256:" + "0a" * 32
GONE = "gone"
# Every object is there.
BASE = {
    "config": {"apps": [{"name": "shop"}]},
    "secret": "keys",
    "ingress": {"enabled": True, "hosts": [{"host": "a.example", "paths": [{"path": "/", "pathType": "Prefix"}]}]},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "serviceMonitor": {"enabled": True, "relabelings": [{"action": "labeldrop", "regex": "node"}]},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
}
APP = {"name": "shop", "sdk_app_id": 7, "watch": {"files": ["*.csv"]}}
CONFIG = ["ConfigMap/", "data", "config.yaml"]
DASHBOARD = ["ConfigMap/-dashboard", "metadata"]
CLAIM = ["StatefulSet/", "spec", "volumeClaimTemplates", 0, "spec"]
INGRESS = ["Ingress/", "spec"]
METADATA = ["StatefulSet/", "spec", "template", "metadata"]
ENDPOINT = ["ServiceMonitor/", "spec", "endpoints", 0]
POD = ["StatefulSet/", "spec", "template", "spec"]
CONTAINER = [*POD, "containers", 0]
POLICY = ["NetworkPolicy/", "spec"]
ROUTE = ["HTTPRoute/", "spec"]
TEST = ["Pod/-test", "spec", "containers", 0]
ENV = {"name": "SHOP_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "shop"}}}
HOST = {"host": "b.example", "paths": [{"path": "/push", "pathType": "Exact"}]}
MOUNT = {"name": "tmp", "mountPath": "/tmp"}
PEER = {"ipBlock": {"cidr": "192.0.2.0/24"}}
RELABEL = {"sourceLabels": ["__name__"], "regex": "go_.*", "action": "drop"}
RULE = {"matches": [{"path": {"type": "Exact", "value": "/push"}}], "timeouts": {"request": "40s"}}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
TLS = {"secretName": "cert", "hosts": ["b.example"]}
TOLERATION = {"key": "spot", "operator": "Exists", "effect": "NoSchedule"}
VOLUME = {"name": "tmp", "emptyDir": {}}
AFFINITY = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}}
# Value, what it is set to, where it shows, and as what; the object is KIND/SUFFIX OF ITS NAME.
CASES = [
    ("image.repository", "r.example/x", [*CONTAINER, "image"], "r.example/x:0.1.0"),
    ("image.tag", "2", [*CONTAINER, "image"], "timpush_exporter:2"),
    ("image.digest", DIGEST, [*CONTAINER, "image"], f"timpush_exporter@{DIGEST}"),
    ("image.pullPolicy", "Always", [*CONTAINER, "imagePullPolicy"], "Always"),
    ("imagePullSecrets", [{"name": "r"}], [*POD, "imagePullSecrets"], [{"name": "r"}]),
    ("imagePullSecrets", [{"name": "r"}], ["Pod/-test", "spec", "imagePullSecrets"], [{"name": "r"}]),
    ("config.apps", [APP], CONFIG, {"apps": [APP]}),
    ("secret", "other", [*POD, "volumes", 1, "secret", "secretName"], "other"),
    ("secret", "", [*CONTAINER, "volumeMounts", 1, "name"], "state"),
    ("extraArgs", ["--web.enable-lifecycle"], [*CONTAINER, "args", -1], "--web.enable-lifecycle"),
    ("extraEnv", [ENV], [*CONTAINER, "env"], [ENV]),
    ("extraEnvFrom", [{"secretRef": {"name": "x"}}], [*CONTAINER, "envFrom"], [{"secretRef": {"name": "x"}}]),
    ("extraVolumes", [VOLUME], [*POD, "volumes", -1], VOLUME),
    ("extraVolumeMounts", [MOUNT], [*CONTAINER, "volumeMounts", -1], MOUNT),
    ("log.level", "debug", [*CONTAINER, "args", 0], "--log.level=debug"),
    ("log.format", "logfmt", [*CONTAINER, "args", 1], "--log.format=logfmt"),
    ("persistence.enabled", False, CLAIM[:3], GONE),
    ("persistence.enabled", False, [*POD, "volumes", -1], {"name": "state", "emptyDir": {}}),
    ("persistence.size", "2Gi", [*CLAIM, "resources", "requests", "storage"], "2Gi"),
    ("persistence.storageClass", "fast", [*CLAIM, "storageClassName"], "fast"),
    ("persistence.accessModes", ["ReadWriteOnce"], [*CLAIM, "accessModes"], ["ReadWriteOnce"]),
    ("service.port", 80, ["Service/", "spec", "ports", 0, "port"], 80),
    ("service.port", 80, [*ROUTE, "rules", 0, "backendRefs", 0, "port"], 80),
    ("service.port", 80, [*TEST, "args", -1], f"http://{NAME}:80/-/ready"),
    ("service.annotations", {"a": "b"}, ["Service/", "metadata", "annotations"], {"a": "b"}),
    ("ingress.enabled", False, ["Ingress/"], GONE),
    ("ingress.className", "nginx", [*INGRESS, "ingressClassName"], "nginx"),
    ("ingress.annotations", {"a": "b"}, ["Ingress/", "metadata", "annotations"], {"a": "b"}),
    ("ingress.hosts", [HOST], [*INGRESS, "rules", 0, "host"], "b.example"),
    ("ingress.hosts", [HOST], [*INGRESS, "rules", 0, "http", "paths", 0, "path"], "/push"),
    ("ingress.hosts", [HOST], [*INGRESS, "rules", 0, "http", "paths", 0, "pathType"], "Exact"),
    ("ingress.tls", [TLS], [*INGRESS, "tls"], [TLS]),
    ("httpRoute.enabled", False, ["HTTPRoute/"], GONE),
    ("httpRoute.annotations", {"a": "b"}, ["HTTPRoute/", "metadata", "annotations"], {"a": "b"}),
    ("httpRoute.parentRefs", [{"name": "x"}], [*ROUTE, "parentRefs"], [{"name": "x"}]),
    ("httpRoute.hostnames", ["a.example"], [*ROUTE, "hostnames"], ["a.example"]),
    ("httpRoute.rules", [RULE], [*ROUTE, "rules", 0, "matches"], RULE["matches"]),
    ("httpRoute.rules", [RULE], [*ROUTE, "rules", 0, "timeouts"], RULE["timeouts"]),
    ("serviceMonitor.enabled", False, ["ServiceMonitor/"], GONE),
    ("serviceMonitor.labels", {"a": "b"}, ["ServiceMonitor/", "metadata", "labels", "a"], "b"),
    ("serviceMonitor.interval", "30s", [*ENDPOINT, "interval"], "30s"),
    ("serviceMonitor.scrapeTimeout", "5s", [*ENDPOINT, "scrapeTimeout"], "5s"),
    ("serviceMonitor.job", "timpush-2", [*ENDPOINT, "relabelings", 0, "replacement"], "timpush-2"),
    ("serviceMonitor.honorLabels", False, [*ENDPOINT, "honorLabels"], False),
    ("serviceMonitor.scheme", "https", [*ENDPOINT, "scheme"], "https"),
    ("serviceMonitor.scheme", "https", [*CONTAINER, "startupProbe", "httpGet", "scheme"], "HTTPS"),
    ("serviceMonitor.scheme", "https", [*CONTAINER, "readinessProbe", "httpGet", "scheme"], "HTTPS"),
    ("serviceMonitor.scheme", "https", [*CONTAINER, "livenessProbe", "httpGet", "scheme"], "HTTPS"),
    ("serviceMonitor.scheme", "https", [*TEST, "args", 0], "--no-check-certificate"),
    ("serviceMonitor.scheme", "https", [*TEST, "args", 1], f"https://{NAME}:10047/-/ready"),
    ("serviceMonitor.tlsConfig", {"serverName": "x"}, [*ENDPOINT, "tlsConfig"], {"serverName": "x"}),
    ("serviceMonitor.basicAuth", {"username": {"key": "x"}}, [*ENDPOINT, "basicAuth"], {"username": {"key": "x"}}),
    ("serviceMonitor.relabelings", [RELABEL], [*ENDPOINT, "relabelings", 1], RELABEL),
    ("serviceMonitor.metricRelabelings", [RELABEL], [*ENDPOINT, "metricRelabelings"], [RELABEL]),
    ("prometheusRule.enabled", False, ["PrometheusRule/-alerts"], GONE),
    ("prometheusRule.enabled", False, ["PrometheusRule/-recording"], GONE),
    ("prometheusRule.labels", {"a": "b"}, ["PrometheusRule/-alerts", "metadata", "labels", "a"], "b"),
    ("prometheusRule.labels", {"a": "b"}, ["PrometheusRule/-recording", "metadata", "labels", "a"], "b"),
    ("dashboard.enabled", False, ["ConfigMap/-dashboard"], GONE),
    ("dashboard.labels", {"a": "b"}, [*DASHBOARD, "labels", "a"], "b"),
    ("dashboard.annotations", {"a": "b"}, [*DASHBOARD, "annotations"], {"a": "b"}),
    ("networkPolicy.enabled", False, ["NetworkPolicy/"], GONE),
    ("networkPolicy.ingressFrom", [PEER], [*POLICY, "ingress", 0, "from", 0], PEER),
    ("networkPolicy.egress", [{"to": [PEER]}], [*POLICY, "egress"], [{"to": [PEER]}]),
    ("resources.limits", {"memory": "1Gi"}, [*CONTAINER, "resources", "limits"], {"memory": "1Gi"}),
    ("resources.requests", {"cpu": 1}, [*CONTAINER, "resources", "requests", "cpu"], 1),
    ("serviceAccount.name", "x", ["ServiceAccount/"], GONE),
    ("serviceAccount.name", "x", [*POD, "serviceAccountName"], "x"),
    ("serviceAccount.annotations", {"a": "b"}, ["ServiceAccount/", "metadata", "annotations"], {"a": "b"}),
    ("podSecurityContext", {"fsGroup": 7}, [*POD, "securityContext", "fsGroup"], 7),
    ("podSecurityContext", {"fsGroup": None}, [*POD, "securityContext", "fsGroup"], GONE),
    ("podSecurityContext", {"runAsUser": None}, ["Pod/-test", "spec", "securityContext", "runAsUser"], GONE),
    ("securityContext", {"runAsUser": 7}, [*CONTAINER, "securityContext", "runAsUser"], 7),
    ("securityContext", {"runAsUser": 7}, [*TEST, "securityContext", "runAsUser"], 7),
    ("commonLabels", {"a": "b"}, [*METADATA, "labels", "a"], "b"),
    ("podLabels", {"a": "b"}, [*METADATA, "labels", "a"], "b"),
    ("podAnnotations", {"a": "b"}, [*METADATA, "annotations", "a"], "b"),
    ("nodeSelector", {"a": "b"}, [*POD, "nodeSelector"], {"a": "b"}),
    ("nodeSelector", {"a": "b"}, ["Pod/-test", "spec", "nodeSelector"], {"a": "b"}),
    ("tolerations", [TOLERATION], [*POD, "tolerations"], [TOLERATION]),
    ("tolerations", [TOLERATION], ["Pod/-test", "spec", "tolerations"], [TOLERATION]),
    ("affinity", AFFINITY, [*POD, "affinity"], AFFINITY),
    ("topologySpreadConstraints", [SPREAD], [*POD, "topologySpreadConstraints"], [SPREAD]),
    ("priorityClassName", "high", [*POD, "priorityClassName"], "high"),
    ("dnsPolicy", "None", [*POD, "dnsPolicy"], "None"),
    ("dnsConfig", {"nameservers": ["192.0.2.1"]}, [*POD, "dnsConfig"], {"nameservers": ["192.0.2.1"]}),
    ("revisionHistoryLimit", 0, ["StatefulSet/", "spec", "revisionHistoryLimit"], 0),
    ("startupFailureThreshold", 9, [*CONTAINER, "startupProbe", "failureThreshold"], 9),
    ("test.image.repository", "r.example/x", [*TEST, "image"], "r.example/x:1.37"),
    ("test.image.tag", "2", [*TEST, "image"], "docker.io/library/busybox:2"),
    ("test.image.digest", DIGEST, [*TEST, "image"], f"docker.io/library/busybox@{DIGEST}"),
    ("test.image.pullPolicy", "Never", [*TEST, "imagePullPolicy"], "Never"),
    ("nameOverride", "push", ["Service/", "spec", "selector", "app.kubernetes.io/name"], "push"),
    ("fullnameOverride", "push", ["Service/", "metadata", "name"], "push"),
]
# Values that are wrong beside those that are misspelt, and a part of what helm says of them.
REFUSED = [
    ("config.apps", [], "config.apps is empty"),
    ("image.digest", "sha256:0a", "/image/digest"),
    ("image.tag", 1.2, "/image/tag"),
    ("log.level", "loud", "/log/level"),
    ("service.port", 0, "/service/port"),
    ("persistence.accessModes", ["ReadWriteOnlyPod"], "/persistence/accessModes/0"),
    ("ingress.hosts", [], "/ingress/hosts"),
    ("httpRoute.parentRefs", [], "/httpRoute/parentRefs"),
    ("commonLabels", {"app.kubernetes.io/name": "x"}, "invalid propertyName"),
    ("podLabels", {"app.kubernetes.io/instance": "x"}, "invalid propertyName"),
    ("podLabels", {"a": True}, "/podLabels/a"),
    ("extraVolumes", [{"name": "state", "emptyDir": {}}], "/extraVolumes/0/name"),
    ("serviceMonitor.interval", "15", "/serviceMonitor/interval"),
    ("prometheusRule.runbookBaseUrl", "https://a.example", "/prometheusRule/runbookBaseUrl"),
    ("config.apps", [{"secret_key_flie": "x"}], "'secret_key_flie' not allowed"),
    ("config.apps", [{"watch": {"http": [{"uri": "x"}]}}], "'uri' not allowed"),
    ("extraEnv", [{"name": "x", "valeu": "y"}], "'valeu' not allowed"),
    ("serviceMonitor.metricRelabelings", [{"sourceLabel": []}], "'sourceLabel' not allowed"),
]
# Keys under these are names that users choose, or Kubernetes' own; the chart tests the key itself.
PASSED_ON = {"dashboard.labels", "podSecurityContext", "resources", "securityContext"}
# Values that .ci/chart looks at elsewhere.
ELSEWHERE = {"prometheusRule.runbookBaseUrl"}
# Objects of Kubernetes with too many forms to list, and what Helm passes to every chart.
OPEN = {"/extraVolumes/[]", "/global", "/httpRoute/rules/[]/filters/[]"}


def set_at(value, path, to):
    """A copy of the tree with another value at the path."""
    head, _, rest = path.partition(".")
    return {**value, head: set_at(value.get(head, {}), rest, to) if rest else to}


def at(tree, path):
    """What stands at the path."""
    for key in path.split(".") if path else []:
        tree = tree[key]
    return tree


def leaves(tree, path=""):
    """Paths of all values."""
    for key, value in tree.items():
        here = f"{path}{key}"
        if isinstance(value, dict) and value and here not in PASSED_ON:
            yield from leaves(value, f"{here}.")
        else:
            yield here


def nodes(schema, node, path=""):
    """Every object of the schema, by its path."""
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    yield path, node
    for key, inner in node.get("properties", {}).items():
        yield from nodes(schema, inner, f"{path}/{key}")
    if "items" in node:
        yield from nodes(schema, node["items"], f"{path}/[]")


def refusal(helm, version, given):
    """What helm says of these values; nothing where it takes them."""
    command = [*template(helm, version), "--values", "-"]
    ended = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    return ended.stderr if ended.returncode else ""


def find(objects, path):
    """What stands at the path, or that nothing does."""
    kind, _, suffix = path[0].partition("/")
    names = [name for each, name in objects if each == kind and name.endswith(suffix)]
    found = objects[kind, min(names, key=len)] if names else GONE
    for step in path[1:]:
        inside = step in found if isinstance(found, dict) else isinstance(found, list) and step < len(found)
        found = found[step] if inside else GONE
    return yaml.safe_load(found) if path == CONFIG else found


def check_cases(helm, version, crds):
    """Each value shows where it should, in valid objects."""
    untested = {leaf for leaf in leaves(yaml.safe_load(pathlib.Path(CHART, "values.yaml").read_text()))} - ELSEWHERE
    base = rendered(helm, version, given=BASE)
    for value, to, path, wanted in CASES:
        untested -= {leaf for leaf in untested if value == leaf or value.startswith(f"{leaf}.")}
        must(find(base, path) != wanted, f"{value}: the test holds without it")
        objects = rendered(helm, version, given=set_at(BASE, value, to))
        found = find(objects, path)
        must(found == wanted, f"{value}={to}: {path} is {found}: expected {wanted}")
        for thing in objects.values():
            if not schemas.check(thing, crds):
                kubernetes_validate.validate(thing, version, strict=True)
    must(not untested, f"values without a test: {sorted(untested)}")


def check_refused(helm, version):
    """Wrong values are refused, and misspelt ones wherever the chart has a key."""
    for value, to, part in REFUSED:
        said = refusal(helm, version, set_at(BASE, value, to))
        must(part in said, f"{value}={to}: not refused: {said}")
    schema = json.loads(pathlib.Path(CHART, "values.schema.json").read_text())
    found = dict(nodes(schema, schema))
    objects = {path: node for path, node in found.items() if node.get("type") == "object"}
    opened = {path for path, node in objects.items() if "additionalProperties" not in node}
    must(opened == OPEN, f"objects of the schema that take any key: {sorted(opened)}: expected {sorted(OPEN)}")
    default = yaml.safe_load(pathlib.Path(CHART, "values.yaml").read_text())
    places = {leaf.rpartition(".")[0] for leaf in leaves(default)} | PASSED_ON - {"dashboard.labels"}
    given = BASE
    for place in places:
        given = set_at(given, f"{place}.mispelt".lstrip("."), {})
        known = found[f"/{place}".rstrip("/").replace(".", "/")]["properties"].keys() - {"enabled", "global"}
        unused = set() if place in PASSED_ON else known - at(default, place).keys()
        must(not unused, f"the schema has {sorted(unused)} in {place or 'values'}: values.yaml has not")
    said = refusal(helm, version, given)
    for place in places:
        where = f"at '/{place}':" if place else "at '':"
        wanted = f"{where.replace('.', '/')} additional properties 'mispelt' not allowed"
        must(wanted in said, f"{place or 'values'}: takes any key")


def check_labels(helm, version):
    """commonLabels are on every object, once, and neither on the claim nor in selectors, which cannot change."""
    labels = {"team": "push", "release": "common"}
    given = {**BASE, "commonLabels": labels, "podLabels": {"release": "pod", "only": "pod"}}
    objects = rendered(helm, version, given=set_at(given, "serviceMonitor.labels", {"release": "monitor"}))
    for (kind, name), thing in objects.items():
        release = "monitor" if kind == "ServiceMonitor" else "common"
        own = thing["metadata"]["labels"]
        must({"team": "push", "release": release}.items() <= own.items(), f"{kind} {name} has labels {own}")
        must("only" not in own, f"{kind} {name} has the labels of the pod")
    must(find(objects, [*METADATA, "labels", "release"]) == "pod", "podLabels do not replace commonLabels")
    for place in (["spec", "selector", "matchLabels"], ["spec", "volumeClaimTemplates", 0, "metadata"]):
        must("team" not in find(objects, ["StatefulSet/", *place]), f"commonLabels stand in {place}")


def check_restart(helm, version):
    """Another config is another pod, and nothing else is."""
    configs = [BASE["config"], {"apps": [APP]}, BASE["config"]]
    given = [{**BASE, "config": config} for config in configs]
    pods = [find(rendered(helm, version, given=each), METADATA) for each in given]
    must(pods[0] != pods[1], "another config leaves the pod as it is")
    must(pods[0] == pods[2], "the pod changes without a cause")


def check_names(helm, version):
    """A long release name leaves room for what the controller of StatefulSets adds, in a label of 63 characters."""
    objects = rendered(helm, version, given=BASE, release="a" * 53)
    must(len(find(objects, ["StatefulSet/", "metadata", "name"])) <= 52, "the name of the StatefulSet is too long")
    pod = find(objects, [*POD, "volumes", 0, "configMap", "name"])
    must(("ConfigMap", pod) in objects, "the pod mounts another ConfigMap")


def check(helm, version, crds):
    """All of it; how many tests there were."""
    check_cases(helm, version, crds)
    check_refused(helm, version)
    check_labels(helm, version)
    check_restart(helm, version)
    check_names(helm, version)
    return len(CASES) + len(REFUSED)
