#!/bin/sh
# A Java runtime with the modules that the server needs: runtime.sh FOLDER.
set -eu
jlink --output "$1" --compress zip-0 --strip-debug --no-man-pages --no-header-files --add-modules \
  java.base,java.logging,java.management,java.naming,java.net.http,java.sql,java.xml,jdk.crypto.ec,jdk.httpserver,jdk.incubator.vector,jdk.jfr,jdk.unsupported
