package main

import (
	"context"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/karatcoin/karat/node"
)

// tellSystemd tells the service manager that the node has started, and, as often as it wants
// to hear, that the chain still answers: a node that hangs is started anew. Without a service
// manager it does nothing. What it cannot tell is no reason to stop.
func tellSystemd(ctx context.Context, n *node.Node) {
	_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
	every, err := systemd.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	go func() {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				_, _ = systemd.SdNotify(false, systemd.SdNotifyStopping)
				return
			case <-ticker.C:
				n.Chain().Tip() // waits for the chain's lock
				_, _ = systemd.SdNotify(false, systemd.SdNotifyWatchdog)
			}
		}
	}()
}
