#!/bin/sh
# A node that runs goes on with the new program. One that does not is not started: whoever
# installs karat may want the wallet, or to say first which network.
set -e
if [ "$1" = configure ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart karatd.service
fi
