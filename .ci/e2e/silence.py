"""A vendor that takes pushes and tells nothing more: answers made by hand, since a receipt may take an hour by the clock."""

import json
import time

from peers import Failed, ask

# The app of the demo.
SDK_APP_ID = 1_400_000_001
# Devices that fall silent; the alert asks for 20.
DEVICES = 40
# Longer ago than a receipt may take.
TAKEN_AGO_SECONDS = 2 * 3600
# The upstream's clock shows the time of UTC+8.
ZONE_SECONDS = 8 * 3600
# How far ahead pushes are looked for.
AHEAD_SECONDS = 30


def answer(number, vendor):
    """The trace of one device: taken by the vendor, no receipt."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - TAKEN_AGO_SECONDS + ZONE_SECONDS))
    success = {"PushStatus": 1, "ErrorCode": 0, "ErrorInfo": "success", "EventTime": at}
    device = {
        "InstanceId": str(900_000_000 + number), "PushTime": at, "EventType": 1, "PushPlatform": vendor,
        "NotificationStatus": 1, "IMCommitStat": {"IMStat": success},
        "OfflinePushStat": {"OfflineStat": success, "ChannelStat": success},
    }
    return {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "InstanceTrace": [device]}


def silence(demo, vendor):
    """From now on the next pushes of the demo are answered so."""
    pairs = json.loads(ask(f"{demo.upstream}/sim/pairs?sdk_app_id={SDK_APP_ID}"))
    now = time.time()
    coming = [pair for pair in pairs if now + 3 < pair["pushed_at"] < now + AHEAD_SECONDS][:DEVICES]
    if len(coming) < DEVICES:
        raise Failed(f"only {len(coming)} pushes are still to come: the proof took too long")
    for number, pair in enumerate(coming):
        order = {"task": pair["task"], "user": pair["user"], "json": answer(number, vendor)}
        demo.control("POST", "answers", order)
