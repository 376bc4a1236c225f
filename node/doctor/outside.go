package doctor

import "fmt"

// outside says why a node does not start, or cannot be asked.
func (d *diagnosis) outside(o *Outside) {
	for _, c := range []struct{ code, evidence string }{
		{"network-file", o.NetworkFile}, {"options", o.Options}, {"datadir-missing", o.NoParent}, {"datadir-access", o.Access},
		{"datadir-network", o.OtherNetwork}, {"datadir-damaged", o.Damaged}, {"file-damaged", o.BadFile},
	} {
		if c.evidence != "" {
			d.add(c.code, c.evidence)
		}
	}
	if len(o.Exposed) > 0 {
		d.add("key-exposed", some(o.Exposed)...)
	}
	if o.RPC == "" {
		return
	}
	at := "asked at " + o.RPC
	switch {
	case o.Answers:
	case o.Starting != "":
		d.add("node-starting", at, o.Starting)
	case o.Refused != "":
		d.add("rpc-refused", o.Refused)
	case o.Locked && o.NoCookie != "":
		d.add("rpc-no-cookie", o.NoCookie)
	case o.Locked && o.NotNode != "":
		d.add("rpc-not-node", o.NotNode)
	case o.Locked:
		evidence := []string{"a process has locked " + o.DataDir, o.Silent}
		if o.PID != 0 {
			evidence[0] = fmt.Sprintf("process %d has locked %s", o.PID, o.DataDir)
		}
		d.add("node-silent", evidence...)
	default:
		d.stopped(o)
	}
}

// stopped says what is known of a node that does not run. What it would be stopped by is told
// alone: that it does not run follows from it.
func (d *diagnosis) stopped(o *Outside) {
	for _, p := range o.Taken {
		d.add("port-taken", fmt.Sprintf("%s (%s): %s", p.Address, p.Flag, p.Problem))
	}
	evidence := []string{"nothing has locked " + o.DataDir}
	switch {
	case o.DataDir == "":
		evidence = []string{"which data directory it would have is not known"}
	case o.New:
		evidence = []string{"nothing is stored in " + o.DataDir + " yet"}
	}
	d.add("not-running", evidence...)
	if o.Crashed {
		d.add("unclean-end", "the files of its last run were not removed")
	}
}
