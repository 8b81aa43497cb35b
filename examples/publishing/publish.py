"""Publishes a text: python3 publish.py <topic> <text>"""

import json
import os
import sys
import urllib.error
import urllib.request


def publish(topic, text):
    url = os.environ.get("HYDRANT_URL", "http://localhost:3000") + "/events/" + topic
    request = urllib.request.Request(url, text.encode(), {"Content-Type": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["id"]


try:
    print(publish(sys.argv[1], sys.argv[2]))
except urllib.error.HTTPError as refusal:
    sys.exit(json.load(refusal)["detail"])
