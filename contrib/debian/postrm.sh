#!/bin/sh
# Data stays, even when the package is purged: /var/lib/karat may have a wallet in it.
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
