"""The shipped rules and routes, run sixty times as fast: nothing but their durations changes.

Every duration that PromQL or YAML writes with a unit (`[15m]`, `offset 1h`, `for: 5m`, `group_wait: 30s`) is divided by
FACTOR, so that an hour passes in a minute. Thresholds stay as they are, those in seconds too: they are compared with
clocks that nobody speeds up.
"""

import re

FACTOR = 60
MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
PLACES = re.compile(r"(\[|offset |for: |group_wait: |group_interval: |repeat_interval: )(\d+)(ms|[smhd])\b")


def faster(text):
    """`text` with its durations divided."""

    def divided(found):
        place, number, unit = found.groups()
        return f"{place}{int(number) * MILLISECONDS[unit] // FACTOR}ms"

    return PLACES.sub(divided, text)
