# Follows an event stream with requests and sseclient-py, prints the data of each event, and comes back with the last
# id until the data is "end".

import sys
import time

import requests
import sseclient

url = sys.argv[1]
last_id = None
while True:
    headers = {"accept": "text/event-stream"}
    if last_id is not None:
        headers["last-event-id"] = last_id
    try:
        with requests.get(url, headers=headers, stream=True, timeout=10) as response:
            response.raise_for_status()
            for event in sseclient.SSEClient(response).events():
                if event.id:
                    last_id = event.id
                if event.event.startswith("hydrant:"):
                    continue
                print(event.data, flush=True)
                if event.data == "end":
                    sys.exit(0)
    except requests.RequestException:
        pass  # the connection broke: come back
    time.sleep(0.02)
