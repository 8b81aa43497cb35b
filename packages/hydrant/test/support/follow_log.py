"""Follows a topic with sseclient-py and requests, from PyPI: prints the id, type and data of each event as JSON.

    python follow_log.py <url> [<the last id it had>]
"""

import json
import sys

import requests
from sseclient import SSEClient

url, last_event_id = sys.argv[1], "".join(sys.argv[2:])
headers = {"Accept": "text/event-stream"}
if last_event_id:
    headers["Last-Event-ID"] = last_event_id
response = requests.get(url, headers=headers, stream=True)
response.raise_for_status()
for event in SSEClient(response).events():
    print(json.dumps([event.id, event.event, event.data]), flush=True)
