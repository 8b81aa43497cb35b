# Follows a topic over the subprotocol with the package websockets, prints the data of each event, and comes back with
# the last id until the data is "end".

import asyncio
import json
import sys

import websockets


async def follow(url: str, topic: str) -> None:
    start = {"earliest": True}
    async for socket in websockets.connect(url, subprotocols=["hydrant.v1"]):
        try:
            await socket.send(json.dumps({"subscribe": {"sub": 1, "topics": [topic], **start}}))
            async for text in socket:
                message = json.loads(text)
                if "topic" not in message:
                    continue
                start = {"lastEventId": message["id"]}
                print(message["data"], flush=True)
                if message["data"] == "end":
                    return
        except websockets.ConnectionClosed:
            pass  # the connection broke: come back


asyncio.run(follow(sys.argv[1], sys.argv[2]))
