#!/bin/sh
# At an upgrade the node runs on until the new program is there.
set -e
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
	systemctl disable --now karatd.service
fi
