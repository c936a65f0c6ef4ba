"""The processes of the proof: the demo, Prometheus, Alertmanager, and a webhook that hears what they say."""

import http.server
import json
import pathlib
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from faster import faster

RULES = pathlib.Path("deploy/prometheus")


class Failed(Exception):
    """The proof failed; the text says where."""


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, method="GET", order=None):
    """The text of an answer."""
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, seconds, look):
    """Looks each half second until there is an answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.5)


class Process:
    """A child with its log in a file; ended with the block that holds it."""

    def __init__(self, folder, name, command):
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log)

    def answers(self, url):
        """Waits until it does."""

        def look():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended: {self.log.read_text()[-2000:]}")
            try:
                return ask(url) or True
            except OSError:
                return None

        return wait_for(f"{self.name} at {url}", 60, look)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.child.kill()


class Demo(Process):
    """The demo of the binary: its exporter and its simulated upstream."""

    def __init__(self, folder, binary):
        # So many results that each accelerated window holds enough for the alerts.
        flags = ["--port", "0", "--pairs", "6000", "--push-span-seconds", "300", "--rate", "100", "--speed", "60",
                 "--seed", "4"]
        super().__init__(folder, "demo", [binary, "demo", *flags])
        addresses = wait_for("the demo's addresses", 60, self._addresses)
        self.metrics, self.upstream = addresses
        self.target = urllib.parse.urlsplit(self.metrics).netloc
        self.answers(self.metrics)

    def _addresses(self):
        log = self.log.read_text()
        found = re.search(r"^metrics +(\S+)\n.*?^upstream +(\S+)", log, re.M | re.S)
        return found and found.groups()

    def control(self, method, handle, order=None):
        """Turns the simulated upstream."""
        ask(f"{self.upstream}/sim/{handle}", method, order)


class Webhook:
    """Hears Alertmanager: every notification, with its receiver."""

    def __init__(self):
        self.heard = []
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                heard.extend({**alert, "receiver": body["receiver"]} for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def names(self, status, receiver):
        """Of alerts that came with this status to this receiver: name and platform."""
        came = [alert for alert in self.heard if alert["status"] == status and alert["receiver"] == receiver]
        return {(alert["labels"]["alertname"], alert["labels"].get("platform", "")) for alert in came}


class Alertmanager(Process):
    """Debian's Alertmanager with the shipped routes."""

    def __init__(self, folder, webhook):
        self.port = free_port()
        shipped = (RULES / "alertmanager.example.yml").read_text()
        config = folder / "alertmanager.yml"
        config.write_text(faster(shipped.replace("http://localhost:9099", webhook.url)))
        super().__init__(folder, "alertmanager", [
            "prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
        ])
        self.answers(f"http://127.0.0.1:{self.port}/-/ready")


class Prometheus(Process):
    """Debian's Prometheus with the shipped config and rules; scrapes each second."""

    def __init__(self, folder, target, alertmanager_port):
        self.url = f"http://127.0.0.1:{free_port()}"
        for name in ("recording.rules.yml", "alerts.rules.yml"):
            (folder / name).write_text(faster((RULES / name).read_text()))
        shipped = (RULES / "prometheus.example.yml").read_text()
        config = folder / "prometheus.yml"
        shipped = re.sub(r"_interval: \d+s", "_interval: 1s", shipped)
        shipped = shipped.replace("localhost:9093", f"127.0.0.1:{alertmanager_port}")
        config.write_text(shipped.replace("localhost:10047", target))
        super().__init__(folder, "prometheus", [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--query.lookback-delta=5s",
        ])
        self.answers(f"{self.url}/-/ready")

    def query(self, expr):
        """The vector that an expression gives now."""
        question = urllib.parse.urlencode({"query": expr})
        try:
            answer = ask(f"{self.url}/api/v1/query?{question}")
        except urllib.error.HTTPError as refusal:
            raise Failed(f"{expr}: {refusal.read().decode()}") from refusal
        return json.loads(answer)["data"]["result"]

    def firing(self):
        """The alerts that fire now: name, platform, stage, and all labels and texts."""
        alerts = json.loads(ask(f"{self.url}/api/v1/alerts"))["data"]["alerts"]
        return [alert for alert in alerts if alert["state"] == "firing"]
