package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/machine"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/node/doctor"
	"github.com/karatcoin/karat/rpc"
)

// askPatience is how long a node may take for an answer: findings are there within two seconds, or
// say that the node is silent.
var askPatience = 1500 * time.Millisecond

// visit is a look at a node from outside: first of all it is asked, and where it does not
// answer, its files and ports are looked at.
type visit struct {
	c       *cli.Context
	o       *options
	params  *consensus.Params // nil: the network's file cannot be used
	config  node.Config
	options error // what is wrong with the options
	dir     string
	running *node.Running // what the node left; nil: nothing
	client  *rpc.Client   // nil: nobody can be asked
	facts   doctor.Outside
}

// newVisit finds the node that the options describe. What is wrong with them does not end it: a
// node that runs is found by what it has left in its data directory.
func newVisit(c *cli.Context, o *options) *visit {
	v := &visit{c: c, o: o}
	v.options = o.readFile(c)
	params, err := o.params()
	if err != nil {
		v.facts.NetworkFile = cmdline.OneLine(err)
		return v
	}
	v.params = params
	if v.dir, err = karat.DataDir(o.dataDir, params); err != nil {
		v.facts.NoParent = cmdline.OneLine(err)
		return v
	}
	v.facts.DataDir = v.dir
	if v.options == nil {
		v.config, v.options = o.runConfig(c)
	}
	if v.options != nil {
		v.facts.Options = cmdline.OneLine(v.options)
	}
	if r, err := node.ReadRunning(v.dir); err == nil {
		v.running = &r
	}
	v.findClient()
	return v
}

// findClient finds where and as whom the node is asked.
func (v *visit) findClient() {
	listen, fingerprint := v.config.RPCListen, ""
	if v.running != nil && len(v.running.RPC) > 0 {
		listen, fingerprint = v.running.RPC, v.running.Fingerprint
	}
	if len(listen) == 0 {
		listen = []string{net.JoinHostPort(loopback, fmt.Sprint(v.params.Ports.RPC))}
	}
	text := hereAt(listen[0])
	if fingerprint != "" {
		text = rpc.WithFingerprint(text, fingerprint)
	}
	at, err := rpc.ParseAddress(text, "")
	if err != nil {
		v.facts.Silent = cmdline.OneLine(err)
		return
	}
	v.facts.RPC = at.URL
	if v.config.RPCNoCookie && v.config.RPCUser != "" {
		v.client = rpc.NewClient(at.URL, v.config.RPCUser, v.config.RPCPassword).At(at)
		return
	}
	v.client = rpc.NewCookieClient(at.URL, node.CookieFile(v.dir)).At(at)
}

// ask calls a method of the node, and notes why it does not answer.
func (v *visit) ask(method string, result any, params ...any) error {
	if v.client == nil {
		return rpc.ErrUnreachable
	}
	ctx, cancel := context.WithTimeout(v.c.Context, askPatience)
	defer cancel()
	err := v.client.Call(ctx, method, result, params...)
	v.note(err)
	return err
}

// note sorts what came of a call.
func (v *visit) note(err error) {
	var told *rpc.Error
	f := &v.facts
	switch {
	case err == nil:
		f.Answers = true
	case errors.As(err, &told) && told.Code == rpc.CodeInWarmup:
		f.Starting = told.Message
	case errors.As(err, &told):
		f.Answers = true
	case errors.Is(err, rpc.ErrUnauthorized):
		f.Refused = cmdline.OneLine(err)
	case errors.Is(err, rpc.ErrNoCookie):
		f.NoCookie = cmdline.OneLine(err)
	case errors.Is(err, rpc.ErrUnreachable):
		f.Silent = cmdline.OneLine(err)
	default: // an answer that no node gives
		f.NotNode = cmdline.OneLine(err)
	}
}

// lookAround looks at files and ports. The node does not answer, or it has been asked.
func (v *visit) lookAround() *doctor.Facts {
	facts := &doctor.Facts{Outside: &v.facts}
	if v.dir == "" {
		return facts
	}
	v.lookAtSecrets()
	if v.facts.Answers || v.facts.Starting != "" {
		return facts
	}
	facts.Machine = v.machine()
	v.lookAtData()
	if !v.facts.Locked {
		v.lookAtPorts()
	}
	return facts
}

// lookAtSecrets looks for secret files that others can read.
func (v *visit) lookAtSecrets() {
	files := node.SecretFiles(v.dir)
	if v.config.RPCCookieMode == 0 && (v.running == nil || v.running.CookieMode == 0) {
		files = append(files, node.CookieFile(v.dir))
	}
	for _, path := range files {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o077 != 0 {
			v.facts.Exposed = append(v.facts.Exposed, fmt.Sprintf("%s (%s)", path, info.Mode().Perm()))
		}
	}
}

// lookAtData looks at the data directory.
func (v *visit) lookAtData() {
	f := &v.facts
	info, err := os.Stat(v.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.New = true
		return
	case err != nil:
		f.Access = cmdline.OneLine(err)
		return
	case !info.IsDir():
		f.Access = v.dir + " is no folder"
		return
	}
	for _, path := range append([]string{v.dir}, store.Written(v.dir)...) {
		if err := machine.Usable(path); path == v.dir && err != nil || errors.Is(err, fs.ErrPermission) {
			f.Access = cmdline.OneLine(err)
			break
		}
	}
	seen, err := store.Inspect(v.dir)
	f.New, f.Locked = seen.IsNew, seen.Locked
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Access = cmdline.OneLine(err)
	case err != nil:
		f.Damaged = cmdline.OneLine(err)
	case !seen.Network.IsZero() && seen.Network != v.params.Identity():
		f.OtherNetwork = fmt.Sprintf("%s is of network %q (%s), not of %q (%s)", v.dir, seen.NetworkName, seen.Network, v.params.Name, v.params.Identity())
	}
	if v.options == nil && !seen.Locked {
		switch err := node.CheckFiles(&v.config); {
		case errors.Is(err, fs.ErrPermission):
			f.Access = cmdline.OneLine(err)
		case err != nil:
			f.BadFile = cmdline.OneLine(err)
		}
	}
	f.Crashed = v.running != nil && !seen.Locked
	if v.running != nil {
		f.PID = v.running.PID
	}
}

// lookAtPorts tries to listen where the node would.
func (v *visit) lookAtPorts() {
	for _, p := range v.listens() {
		if p.Address == "" {
			continue
		}
		l, err := net.Listen("tcp", p.Address)
		if err != nil {
			p.Problem = cmdline.OneLine(err)
			v.facts.Taken = append(v.facts.Taken, p)
			continue
		}
		l.Close()
	}
}

// listens are the addresses at which the node would listen. Where another port will do for the
// pages, they are left out.
func (v *visit) listens() []doctor.Port {
	list := []doctor.Port{{Flag: "--listen", Address: v.config.Listen}, {Flag: "--stratum", Address: v.config.Stratum}, {Flag: "--metrics", Address: v.config.Metrics}}
	if !v.config.WebAnyPort {
		list = append(list, doctor.Port{Flag: "--web", Address: v.config.Web})
	}
	for _, at := range v.config.RPCListen {
		list = append(list, doctor.Port{Flag: "--rpc-listen", Address: at})
	}
	return list
}

// machine is what a node would have here.
func (v *visit) machine() *doctor.Machine {
	dir := v.dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	disk, err := machine.DiskOf(dir)
	if err != nil {
		slog.Debug("the disk is not known", "err", err)
	}
	m := &doctor.Machine{DataDir: dir, Disk: disk, Memory: machine.MemoryNow()}
	m.Memory.Mine = 0
	if v.options == nil {
		m.Budgets = node.Budgets(&v.config)
	}
	return m
}
