"""Asks Prometheus what each panel of the dashboard asks."""

import json
import math
import pathlib
import re

BOARD = pathlib.Path("grafana/dashboard.json")
DURATIONS = {"__rate_interval": "20s", "__range": "60s"}


def queries():
    """Title and expression of each target, its variables at their first values, as Grafana sets them."""
    board = json.loads(BOARD.read_text())
    values = dict(DURATIONS)
    for variable in board["templating"]["list"]:
        values[variable["name"]] = variable.get("allValue") or variable["current"].get("value", "")
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            filled = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), target["expr"])
            yield panel["title"], filled


def empty(prometheus):
    """The panels that have nothing to show: no series, or no number in any."""
    found = []
    for title, expr in queries():
        values = [float(series["value"][1]) for series in prometheus.query(expr)]
        if all(math.isnan(value) for value in values):
            found.append(f"{title}: {expr}")
    return found
