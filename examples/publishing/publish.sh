#!/bin/sh
# Publishes a text: sh publish.sh <topic> <text>
curl -sS --fail-with-body -H 'content-type: text/plain' --data-raw "$2" \
  "${HYDRANT_URL:-http://localhost:3000}/events/$1"
