#!/bin/bash
# Whether the server in this container takes requests; bash alone, for an image without an HTTP client. The port is
# that of the server's command line.
set -eu
port=8000
previous=
while IFS= read -r -d '' word; do
  case $word in --port=*) port=${word#*=} ;; esac
  [ "$previous" != --port ] || port=$word
  previous=$word
done < /proc/1/cmdline
exec 3<> "/dev/tcp/127.0.0.1/$port"
printf 'GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
