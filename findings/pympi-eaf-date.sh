#!/usr/bin/env bash
# pympi-ling 1.71 dates an EAF file with the minutes of the time zone in seconds, and numbers time slots out of order.
#
# Seen on Python 3.11, with TZ=Asia/Kolkata (5 h 30 min east):
#   DATE="2026-11-29T09:38:58+05:1800"       no xs:dateTime, which EAFv2.8.xsd asks for; Python's datetime refuses it, too
# Two annotations, of which the second begins before the first:
#   TIME_SLOT ts2 5000, ts3 6000, ts4 0, ts5 4000      not in the order of time
# Expected: +05:30, and TIME_ORDER in order.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pympi-ling==1.71
cd "$work"
TZ=Asia/Kolkata "$work/venv/bin/python" - <<'END'
from datetime import datetime

from pympi.Elan import Eaf, to_string

made = Eaf()
made.add_tier("speaker")
made.add_annotation("speaker", 5000, 6000, "later")
made.add_annotation("speaker", 0, 4000, "earlier")
date = made.adocument["DATE"]
written = to_string(made)
print(written)
assert date.endswith("+05:1800")
try:
    datetime.fromisoformat(date)
except ValueError as error:
    print(error)
else:
    raise SystemExit("it is a date now")
assert written.index('TIME_VALUE="5000"') < written.index('TIME_VALUE="0"')
END
echo "as seen: the zone's minutes are written as seconds, and time slots are not in order"
