"""Proves dashboard and alerts on a real Prometheus and Alertmanager: python3 .ci/e2e BINARY

The demo is scraped; every panel has data; a vendor goes out, its alerts fire, come to the webhook, and resolve; another
takes pushes and tells nothing more; the API refuses the app; each time that alert fires and comes. No other alert fires at any time, but for those that are right about the demo's
own town: it has wrong credentials and clients without a certificate id from the start.
"""

import pathlib
import sys
import tempfile
import threading
import time

import board
from peers import Alertmanager, Demo, Failed, Prometheus, Webhook, wait_for
from silence import silence

# The largest vendor of the demo's town with that seed: its number, and its label.
VENDOR, PLATFORM = 3, "huawei"
PAGES = {("TimpushStageFailing", PLATFORM)}
TICKETS = {("TimpushVendorDown", PLATFORM)}
# Fires too; Alertmanager keeps it from people as long as the page speaks of the same thing.
INHIBITED = {("TimpushStageFailureRatioHigh", PLATFORM)}
# The vendor that falls silent: its number, and its label.
SILENT_VENDOR, SILENT_PLATFORM = 5, "meizu"
# Of the town itself, by the reason that its failures must carry.
OF_THE_TOWN = {
    "TimpushCredentialRejected": "credential",
    "TimpushCertificateMissing": "no_certificate",
    "TimpushAppBlocked": "app_blocked",
}
# Code of the upstream: Push is not enabled.
NOT_ENABLED = 90045


def key(alert):
    """Name and platform of an alert."""
    return alert["labels"]["alertname"], alert["labels"].get("platform", "")


class Watchman:
    """Looks all the time at what fires, and keeps what was not allowed to."""

    def __init__(self, prometheus):
        self.prometheus, self.allowed = prometheus, set()
        self.foreign, self.failure, self.done = [], None, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _is_true_of_the_town(self, alert):
        labels = alert["labels"]
        reason = OF_THE_TOWN.get(labels["alertname"])
        if reason is None:
            return False
        place = ", ".join(f'{name}="{labels[name]}"' for name in ("app", "route", "stage", "platform"))
        return bool(self.prometheus.query(f'timpush_stage_failures_total{{{place}, reason="{reason}"}} > 0'))

    def _watch(self):
        try:
            while not self.done.wait(1):
                for alert in self.prometheus.firing():
                    if key(alert) not in self.allowed and not self._is_true_of_the_town(alert):
                        self.foreign.append(alert)
        except Exception as error:  # It is raised where the thread is waited for.
            self.failure = error

    def check(self):
        """Fails where an alert fired that should not have."""
        if self.failure:
            raise self.failure
        if self.foreign:
            raise Failed(f"an alert that should not fire: {self.foreign[0]}")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def told(what, since):
    """Says what was reached, and when."""
    print(f"{time.monotonic() - since:5.0f} s  {what}", flush=True)


def story(demo, prometheus, webhook, watchman):
    """What happens, and what must be seen of it."""
    since = time.monotonic()

    def firing():
        watchman.check()
        return {key(alert) for alert in prometheus.firing()}

    wait_for("data in every panel", 120, lambda: not board.empty(prometheus) or watchman.check())
    told(f"every panel has data: {len(list(board.queries()))} queries", since)

    watchman.allowed = PAGES | TICKETS | INHIBITED
    demo.control("POST", "outage", {"platform": VENDOR, "kind": "fail"})
    wait_for("the alerts of the outage", 90, lambda: watchman.allowed <= firing())
    wait_for("the page", 30, lambda: PAGES <= webhook.names("firing", "on-call"))
    wait_for("the ticket", 30, lambda: TICKETS <= webhook.names("firing", "working-hours"))
    if INHIBITED & webhook.names("firing", "working-hours"):
        raise Failed(f"Alertmanager let through what follows from the page: {INHIBITED}")
    told(f"the outage of {PLATFORM} has fired and come through Alertmanager", since)

    demo.control("DELETE", "outage")
    wait_for("the end of the alerts", 150, lambda: not watchman.allowed & firing())
    wait_for("the end of the page", 30, lambda: PAGES <= webhook.names("resolved", "on-call"))
    wait_for("the end of the ticket", 30, lambda: TICKETS <= webhook.names("resolved", "working-hours"))
    told("it has ended, and the end has come through too", since)

    silent = {("TimpushStageSilent", SILENT_PLATFORM)}
    watchman.allowed = silent
    silence(demo, SILENT_VENDOR)
    wait_for("the alert about the silence", 90, lambda: silent <= firing())
    wait_for("its page", 30, lambda: silent <= webhook.names("firing", "on-call"))
    told(f"the silence of {SILENT_PLATFORM} has fired and come through Alertmanager", since)

    refused = {("TimpushUpstreamRefuses", "")}
    watchman.allowed = silent | refused
    demo.control("POST", "faults", {"fault": {"kind": "error", "code": NOT_ENABLED}})
    wait_for("the alert about the API", 60, lambda: refused <= firing())
    wait_for("its page", 30, lambda: refused <= webhook.names("firing", "on-call"))
    told("the API refuses, that alert fires, and those about pushes say nothing new", since)
    watchman.check()
    for alert in webhook.heard:
        for name, text in alert["annotations"].items():
            if "{{" in text or "<no value>" in text or "<error" in text:
                raise Failed(f"{key(alert)}: {name}: {text}")
    print("\n".join(sorted({f"{a['receiver']}: {a['annotations']['summary']}" for a in webhook.heard})))


def main(binary):
    """Starts all, tells the story, ends all."""
    with tempfile.TemporaryDirectory(prefix="timpush_e2e_") as name:
        folder = pathlib.Path(name)
        webhook = Webhook()
        with Demo(folder, binary) as demo, Alertmanager(folder, webhook) as alertmanager:
            with Prometheus(folder, demo.target, alertmanager.port) as prometheus:
                try:
                    with Watchman(prometheus) as watchman:
                        story(demo, prometheus, webhook, watchman)
                except Failed:
                    for process in (demo, alertmanager, prometheus):
                        print(f"--- {process.name}\n{process.log.read_text()[-3000:]}", file=sys.stderr)
                    raise


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Failed as failure:
        sys.exit(f"e2e: {failure}")
