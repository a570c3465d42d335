#!/bin/sh
# A CGI program: `run = cgi ./hello.sh`. It runs anew for each request.
printf 'Content-Type: text/plain\n\n'
printf 'hello %s, you asked %s %s\n' "$REMOTE_ADDR" "$REQUEST_METHOD" "$REQUEST_URI"
