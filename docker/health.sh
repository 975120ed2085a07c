#!/bin/bash
# Whether the server in this container takes requests; bash alone, for an image without an HTTP client.
set -eu
exec 3<> /dev/tcp/127.0.0.1/8000
printf 'GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
