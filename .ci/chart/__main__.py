"""Renders the chart with helm and validates what comes out: python .ci/chart HELM BINARY

Kubernetes' own schemas and the CRDs judge the objects; promtool the rules, which must be the shipped ones; the binary
the config. `values.py` tests each value. The README must be what helm-docs makes of values.yaml.
"""

import json
import pathlib
import sys
import tempfile

import kubernetes_validate
import yaml

import schemas
import values
from chart import CHART, must, objects_of, rendered, run

EXAMPLE = "deploy/helm/example-values.yaml"
RULES = pathlib.Path("deploy/prometheus")
KUBERNETES = ["1.25", "1.30", "1.34"]
# The volume types and more that the restricted Pod Security Standard allows.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def check_rules(objects, folder):
    """The rules are those of the repository, with links to the runbooks."""
    for name in ("recording", "alerts"):
        spec = objects["PrometheusRule", f"prod-timpush-exporter-{name}"]["spec"]
        shipped = (RULES / f"{name}.rules.yml").read_text()
        wanted = shipped.replace("runbook_url: docs/runbooks/", "runbook_url: https://runbooks.example.com/timpush/")
        must(spec == yaml.safe_load(wanted), f"{name}: other rules than {RULES}")
        file = folder / f"{name}.yml"
        file.write_text(yaml.safe_dump(spec))
        run("promtool", "check", "rules", file)


def check_restricted(pod):
    """The pod complies with the restricted Pod Security Standard."""
    security = pod["securityContext"]
    must(security["runAsNonRoot"] and security["runAsUser"] > 0, "it runs as root")
    must(security["seccompProfile"]["type"] == "RuntimeDefault", "it has no seccomp profile")
    must(not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, "it shares a namespace of the node")
    must(not pod["automountServiceAccountToken"], "it has a token for the cluster")
    for container in pod["containers"]:
        security = container["securityContext"]
        must(security["readOnlyRootFilesystem"], "its root can be written")
        must(not security["allowPrivilegeEscalation"], "it may gain privileges")
        must(security["capabilities"] == {"drop": ["ALL"]}, "it has capabilities")
    for volume in pod.get("volumes", []):
        must((volume.keys() - {"name"}) <= VOLUMES, f"volume {volume}")


def check_pods(objects):
    """The pod is probed where it answers and found by its Service and monitor; the test's pod is not."""
    pod = objects["StatefulSet", "prod-timpush-exporter"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    must([probe["path"] for probe in probes] == ["/-/ready", "/-/ready", "/-/healthy"], "probes")
    must(all(probe["port"] in ports for probe in probes), "a probe's port")
    service = objects["Service", "prod-timpush-exporter"]
    selector = service["spec"]["selector"].items()
    must(selector <= pod["metadata"]["labels"].items(), "the Service finds no pod")
    must(service["spec"]["ports"][0]["targetPort"] in ports, "the Service's port")
    monitor = objects["ServiceMonitor", "prod-timpush-exporter"]["spec"]
    must(monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(), "no Service is found")
    endpoint = monitor["endpoints"][0]
    must(endpoint["port"] == service["spec"]["ports"][0]["name"], "the monitor's port")
    must({"targetLabel": "job", "replacement": "timpush"} in endpoint["relabelings"], "the job that alerts ask for")
    test = objects["Pod", "prod-timpush-exporter-test"]
    own = test["metadata"]["labels"].items()
    must(test["metadata"]["annotations"]["helm.sh/hook"] == "test", "the test is no test")
    must(not selector <= own, "the Service finds the pod of the test")
    policy = objects["NetworkPolicy", "prod-timpush-exporter"]["spec"]
    admitted = [peer.get("podSelector", {}).get("matchLabels") for peer in policy["ingress"][0]["from"]]
    must(any(labels and labels.items() <= own for labels in admitted), "the test is kept out")
    must(policy["podSelector"]["matchLabels"].items() == selector, "the NetworkPolicy is for other pods")


def check_config(objects, binary, folder):
    """The config is one that the program takes."""
    config = objects["ConfigMap", "prod-timpush-exporter"]["data"]["config.yaml"]
    (folder / "shop.key").write_text("0" * 64)
    file = folder / "config.yaml"
    file.write_text(config.replace("/run/secrets/timpush", str(folder)))
    run(binary, "--config.check", "--config.file", file)


def check_readme(helm):
    """README.md is made of values.yaml."""
    docs = pathlib.Path(helm).with_name("helm-docs")
    command = [docs, "--chart-search-root", CHART, "--sort-values-order", "file", "--log-level", "warning"]
    made = run(*command, "--dry-run")
    command = " ".join(map(str, command))
    must(made.strip() == pathlib.Path(CHART, "README.md").read_text().strip(), f"README.md is old: run {command}")


def check_package(helm, folder):
    """The package renders as the folder does, and so does a chart that depends on it."""
    flags = ["--values", EXAMPLE]
    wanted = rendered(helm, KUBERNETES[-1], *flags)
    run(helm, "package", CHART, "--destination", folder)
    package = next(folder.glob("*.tgz"))
    must(rendered(helm, KUBERNETES[-1], *flags, chart=package) == wanted, "the package renders otherwise")
    parent = folder / "parent"
    (parent / "charts").mkdir(parents=True)
    package.rename(parent / "charts" / package.name)
    name = "timpush-exporter"
    needs = [{"name": name, "version": "*.*.*", "condition": f"{name}.enabled"}]
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": needs}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart))
    given = {"global": {"team": "push"}, name: {**yaml.safe_load(pathlib.Path(EXAMPLE).read_text()), "enabled": True}}
    (parent / "values.yaml").write_text(yaml.safe_dump(given))
    must(rendered(helm, KUBERNETES[-1], chart=parent).keys() == wanted.keys(), "it renders otherwise as a dependency")


def main(helm, binary):
    """Everything, for the example values and each version of Kubernetes; the defaults once."""
    run(helm, "lint", CHART, "--strict", "--values", EXAMPLE)
    crds = schemas.crds(pathlib.Path(helm).parent.parent / "crds")
    apps = ["--set", "config.apps[0].name=x"]
    for version in KUBERNETES:
        for flags in (["--values", EXAMPLE], apps, [*apps, "--set", "persistence.enabled=false"]):
            for thing in rendered(helm, version, *flags).values():
                if not schemas.check(thing, crds):
                    kubernetes_validate.validate(thing, version, strict=True)
    objects = rendered(helm, KUBERNETES[-1], "--values", EXAMPLE)
    check_readme(helm)
    tested = values.check(helm, KUBERNETES[-1], crds)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_rules(objects, folder)
        check_config(objects, binary, folder)
        check_package(helm, folder)
    check_pods(objects)
    for kind, thing in objects_of(objects, "StatefulSet", "Pod"):
        check_restricted(thing["spec"]["template"]["spec"] if kind == "StatefulSet" else thing["spec"])
    board = objects["ConfigMap", "prod-timpush-exporter-dashboard"]["data"]["timpush-exporter.json"]
    must(json.loads(board) == json.loads(pathlib.Path("grafana/dashboard.json").read_text()), "another dashboard")
    print(f"{len(objects)} objects, valid for Kubernetes {', '.join(KUBERNETES)}; {tested} tests of values")


if __name__ == "__main__":
    main(*sys.argv[1:])
