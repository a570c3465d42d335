#!/bin/sh
# A job: sends the mail that is its body. `run = cgi ./send_mail.sh`; MAILER is what takes it, as sendmail does.
# It may be run twice, so a mailer that knows the Message-ID of before does not send it again.
message=$(cat)
if ! printf '%s\n' "$message" | grep -q '^To: .'; then
    printf 'Content-Type: text/plain\n\nthere is no To\n'
    exit 65 # trying again is of no use
fi
echo "reeve-progress: attempt $JOB_ATTEMPT of $JOB_ATTEMPTS" >&2
if [ -n "$MAILER" ]; then
    printf 'Message-ID: <%s@reeve>\n%s\n' "$JOB_ID" "$message" | "$MAILER" -t || exit 75 # later, perhaps
fi
printf 'Content-Type: text/plain\n\nsent as %s\n' "$JOB_ID"
