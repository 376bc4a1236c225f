package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/dial"
)

// walletConfigFile is karat's configuration file in the data directory.
const walletConfigFile = "karat.toml"

func networkJoinCommand(o *options) *cli.Command {
	return &cli.Command{
		Name: "join", Usage: "make a data directory ready for a network of others", ArgsUsage: "FILE|URL",
		Description: "Reads the file that karatd network pack makes, or a bare genesis.json: from a disk, or from\n" +
			"a web server, such as the pages of a node of the network. The file is checked, and kept in\n" +
			"the network's data folder, and the network becomes the one that karatd and karat use there,\n" +
			"unless the main network or another is in use already. Done twice it adds first peers that\n" +
			"are new, and changes nothing else.\n\n" +
			"   karatd network join mycoin.json\n" +
			"   karatd network join https://explorer.example.org\n" +
			"   karatd                                           run a node of it\n" +
			"   karat create                                     make a wallet\n\n" +
			"All that a network is stands in this file, so have it from somebody whom you trust, or\n" +
			"give its --identity, which karatd network hash prints: then it is the same chain by the same\n" +
			"rules, whoever made the file, and assume_valid is left out. First peers are the file's.",
		Flags:  append(o.wayOut(), identityFlag(), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
		Action: func(c *cli.Context) error { return networkJoin(c, o) },
	}
}

func identityFlag() cli.Flag {
	return &cli.StringFlag{Name: "identity", Usage: "refuse a network that has not this `HASH`, which karatd network hash prints"}
}

// wayOut are the flags of a command that calls somebody: the same as a node's.
func (o *options) wayOut() []cli.Flag {
	return cmdline.FromEnvironment(
		&cli.StringFlag{Name: "proxy", Destination: &o.proxy, Usage: "call only through the SOCKS5 proxy at `HOST:PORT`"},
		&cli.StringFlag{Name: "onion", Destination: &o.onion, Usage: "call onion addresses through the SOCKS5 proxy at `HOST:PORT` (default: that of --proxy)"},
	)
}

func (o *options) dialer() *dial.Dialer {
	return dial.New(dial.Options{Proxy: o.proxy, Onion: o.onion, Isolate: o.isolation})
}

// joined is what joining a network came to.
type joined struct {
	params *consensus.Params
	dir    string // of the network
	isNew  bool   // it was not joined before
	added  int    // first peers that were new
	kept   []string
	moved  []string // first peers whose ids are others now, as they were
	// inUse is what karatd uses in the data directory without --network; empty: this network.
	inUse string
}

func networkJoin(c *cli.Context, o *options) error {
	if c.NArg() != 1 {
		return cmdline.Usagef("network join needs one FILE or URL")
	}
	told := "" // the network of the command line or the environment, which wins over a file
	if c.IsSet("network") {
		told = o.network
	}
	if err := o.readFile(c); err != nil {
		return err
	}
	j, err := o.join(c, c.Args().First(), c.String("identity"), "")
	if err != nil {
		return err
	}
	if p, err := karat.FindNetwork(o.dataDir, told); told != "" && (err != nil || p.Identity() != j.params.Identity()) {
		cmdline.Line(c.App.ErrWriter, "karatd: --network or %s says %s, which wins over what stands in %s", cmdline.EnvironmentName("network"), cmdline.Printable(told), configFile)
	}
	if c.Bool("json") {
		return cmdline.PrintJSON(c.App.Writer, map[string]any{
			"network": j.params.Name, "identity": j.params.Identity(), "file": filepath.Join(j.dir, karat.NetworkFile), "new": j.isNew,
			"peers": len(j.params.Bootstrap.Nodes) + len(j.params.Bootstrap.DNS), "peers_added": j.added, "peers_replaced": append([]string{}, j.moved...), "default": j.inUse == "", "kept": append([]string{}, j.kept...),
		})
	}
	return j.print(c, o)
}

// print says what is where now, and what to do next.
func (j *joined) print(c *cli.Context, o *options) error {
	what := "was joined before"
	if j.isNew {
		what = "joined"
	}
	p := j.params
	w := cmdline.Table(c.App.Writer, 0)
	fmt.Fprintf(c.App.Writer, "network %s %s: %s\n", p.Name, what, filepath.Join(j.dir, karat.NetworkFile))
	fmt.Fprintf(w, "  identity\t%s\n", p.Identity())
	fmt.Fprintf(w, "  begins\t%s: %s\n", cmdline.Time(c, int64(p.Genesis.Timestamp)), cmdline.Printable(p.Genesis.Message))
	peers := fmt.Sprintf("%d to begin with", len(p.Bootstrap.Nodes)+len(p.Bootstrap.DNS))
	if j.added > 0 && !j.isNew {
		peers += fmt.Sprintf(", %d of them new", j.added)
	}
	if len(p.Bootstrap.Nodes)+len(p.Bootstrap.DNS) == 0 {
		peers = "none to begin with: name one by karatd bootstrap add ID@HOST:PORT, or --connect"
	}
	fmt.Fprintf(w, "  peers\t%s\n", peers)
	if !p.AssumeValid.IsZero() {
		fmt.Fprintf(w, "  trusted\tscripts up to block %s are not checked\n", p.AssumeValid)
	}
	how := ""
	if j.inUse != "" {
		how = " --network " + p.Name
	}
	if o.dataDir != "" {
		how += " --datadir " + shellWord(o.dataDir)
	}
	fmt.Fprintf(w, "  run it\tkaratd%s\n", how)
	fmt.Fprintf(w, "  wallet\t%s%s create\n", shellWord(walletProgram()), how)
	if err := w.Flush(); err != nil {
		return err
	}
	if j.inUse != "" {
		cmdline.Line(c.App.Writer, "Without --network, karatd uses %s in this data directory.", cmdline.Printable(j.inUse))
	}
	for _, field := range j.kept {
		cmdline.Line(c.App.ErrWriter, "karatd: %s differs in the new file, and stays as it was: karatd network diff %s FILE", field, p.Name)
	}
	return nil
}

// join reads a network's file, and makes the data directory ready for it. Everything is
// checked before anything is written. If must is the name of a network, it must be that one.
func (o *options) join(c *cli.Context, source, identity, must string) (*joined, error) {
	p, err := o.readNetwork(c, source, identity)
	if err != nil {
		return nil, err
	}
	if old, err := karat.FindNetwork(o.dataDir, must); must != "" && (err != nil || old.Identity() != p.Identity()) {
		return nil, fmt.Errorf("%s has another network now, %s (identity %s), than %s, which was joined by it: if that is right, karatd network join it by hand", source, p.Name, p.Identity(), must)
	}
	dir, err := karat.DataDir(o.dataDir, p)
	if err != nil {
		return nil, err
	}
	j := &joined{params: p, dir: dir, isNew: true, added: len(p.Bootstrap.Nodes)}
	path := filepath.Join(dir, karat.NetworkFile)
	unlock, err := lockNetwork(c.Context, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	before := []byte{}
	if _, err := os.Lstat(path); err == nil {
		if before, err = j.merge(path); err != nil {
			return nil, err
		}
	}
	edits, err := j.defaults(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if text := network.Marshal(j.params); !bytes.Equal(text, before) {
		if err := wholefile.ReplaceBytes(path, text); err != nil {
			return nil, err
		}
	}
	for _, e := range edits {
		if err := e.write(); err != nil {
			return nil, err
		}
	}
	for _, peer := range j.moved {
		cmdline.Line(c.App.ErrWriter, "karatd: the new file has another id for a first peer, and took the place of %s", peer)
	}
	if len(j.moved) > 0 {
		cmdline.Line(c.App.ErrWriter, "karatd: if nobody told of new ids, take them back: karatd --network %s bootstrap add ID@HOST:PORT", j.params.Name)
	}
	if source == "-" {
		return j, nil
	}
	return j, wholefile.ReplaceBytes(filepath.Join(dir, sourceFile), []byte(source+"\n"))
}

// sourceFile says in a network's data folder by what it was joined last.
const sourceFile = "joined-from"

// joinFirst joins the network of --join before a node starts. One that was joined by the same
// file or URL before can start without it.
func (o *options) joinFirst(c *cli.Context) error {
	told := c.IsSet("network") // and not by the configuration file, which is read now
	if err := o.readFile(c); err != nil {
		return err
	}
	name := o.joinedBy(o.joinFrom)
	j, err := o.join(c, o.joinFrom, "", name)
	var unread *unreadError
	if errors.As(err, &unread) && c.Context.Err() == nil && !told {
		if name != "" {
			cmdline.Line(c.App.ErrWriter, "karatd: --join: %v; network %s was joined before, and goes on", cmdline.OneLine(err), name)
			o.network = name
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("--join: %w", err)
	}
	if told {
		if p, err := o.params(); err != nil || p.Identity() != j.params.Identity() {
			return cmdline.Usagef("--join is of network %s, and --network says %s: leave one of them out", j.params.Name, o.network)
		}
		return nil
	}
	o.network = j.params.Name
	return nil
}

// joinedBy returns the name of the network that was joined last by a file or URL; empty if none
// was.
func (o *options) joinedBy(source string) (name string) {
	base, err := o.baseDir()
	if err != nil {
		return ""
	}
	entries, _ := os.ReadDir(base) // where there is nothing, nothing was joined
	var last time.Time
	for _, e := range entries {
		path := filepath.Join(base, e.Name(), sourceFile)
		text, err := wholefile.Read(path, network.MaxFile)
		if err != nil || strings.TrimSuffix(string(text), "\n") != source {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.ModTime().After(last) {
			name, last = e.Name(), info.ModTime()
		}
	}
	return name
}

// unreadError is that of a source that could not be read: nothing is known of what is in it.
type unreadError struct{ error }

// Unwrap returns why.
func (e *unreadError) Unwrap() error { return e.error }

// readNetwork reads and checks a file that somebody else has made.
func (o *options) readNetwork(c *cli.Context, source, identity string) (*consensus.Params, error) {
	want := types.Hash{}
	if identity != "" {
		var err error
		if want, err = types.ParseHash(identity); err != nil {
			return nil, cmdline.Usagef("--identity: %w", err)
		}
	}
	data, err := fetcher{stdin: c.App.Reader, dial: o.dialer().Dial, proxy: o.proxy != ""}.read(c.Context, source)
	if err != nil {
		return nil, &unreadError{err}
	}
	p, err := network.Unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if identity != "" && p.Identity() != want {
		return nil, fmt.Errorf("%s is of another network, %s with the identity %s", source, p.Name, p.Identity())
	}
	if identity != "" && !p.AssumeValid.IsZero() {
		p.AssumeValid = types.Hash{}
		cmdline.Line(c.App.ErrWriter, "karatd: --identity does not vouch for the file's assume_valid, which is left out: all scripts are checked")
	}
	for _, peer := range p.Bootstrap.Nodes {
		if err := node.CheckPeer(peer); err != nil {
			return nil, fmt.Errorf("%s: bootstrap.nodes: %w", source, err)
		}
	}
	if karat.IsBuiltIn(p.Name) {
		if own, err := karat.LoadNetwork(p.Name); err != nil || own.Identity() != p.Identity() {
			return nil, fmt.Errorf("%s calls itself %s, and is not the network of that name, which is built in: its maker has to choose another name", source, p.Name)
		}
	}
	return p, nil
}

// merge takes the network as it was joined before, and adds what is new of its first peers. It
// returns the file's text.
func (j *joined) merge(path string) (before []byte, err error) {
	old, err := karat.LoadNetwork(path)
	if err != nil {
		return nil, fmt.Errorf("%w; if that file is of no use any more, remove it", err)
	}
	if old.Identity() != j.params.Identity() {
		return nil, fmt.Errorf("another network called %s was joined in %s (identity %s, and this has %s): use another --datadir, or karatd network diff to see in what they differ",
			old.Name, j.dir, old.Identity(), j.params.Identity())
	}
	for _, d := range network.Diff(old, j.params) {
		if !strings.HasPrefix(d.Field, "bootstrap.") {
			j.kept = append(j.kept, d.Field)
		}
	}
	before = network.Marshal(old)
	nodes := network.AddPeers(old.Bootstrap.Nodes, j.params.Bootstrap.Nodes)
	dns := network.AddPeers(old.Bootstrap.DNS, j.params.Bootstrap.DNS)
	j.added = len(nodes) - len(old.Bootstrap.Nodes) + len(dns) - len(old.Bootstrap.DNS)
	for i, peer := range old.Bootstrap.Nodes {
		if nodes[i] != peer && strings.Contains(peer, "@") {
			j.moved = append(j.moved, peer)
		}
	}
	old.Bootstrap = consensus.Bootstrap{Nodes: nodes, DNS: dns}
	j.params, j.isNew = old, false
	return before, network.Check(old)
}

// edit is a configuration file that is to have a line more.
type edit struct {
	path, text string
	mode       fs.FileMode
}

func (e edit) write() error {
	if err := wholefile.ReplaceBytes(e.path, []byte(e.text)); err != nil {
		return err
	}
	return os.Chmod(e.path, e.mode) // others may read it as they could before
}

// defaults returns what is to be written so that karatd and karat use the network without
// --network. A data directory in which another is in use stays with that.
func (j *joined) defaults(o *options) (edits []edit, err error) {
	base := filepath.Dir(j.dir)
	path := o.configFile
	if path == "" {
		path = filepath.Join(base, configFile)
	}
	for i, path := range []string{path, filepath.Join(base, walletConfigFile)} {
		e, uses, err := j.defaultIn(path, base)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			j.inUse = uses
		}
		if e != nil {
			edits = append(edits, *e)
		}
	}
	return edits, nil
}

// defaultIn returns how one of the two files has to change, if it has to, and which other
// network it says, if it does.
func (j *joined) defaultIn(path, base string) (change *edit, uses string, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link itself stays
	}
	e := edit{path: path, mode: 0o600}
	text, err := wholefile.Read(path, 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	var values map[string]any
	if _, err := toml.Decode(string(text), &values); err != nil {
		return nil, "", fmt.Errorf("configuration file %s: %w", path, err)
	}
	value, has := values["network"]
	said := fmt.Sprint(value)
	if !has {
		said = "main"
		if _, err := os.Stat(filepath.Join(base, said)); err != nil || j.params.Name == said {
			said = ""
		}
	}
	switch {
	case said == j.params.Name, j.params.Name == "main" && said == "":
		return nil, "", nil
	case said != "":
		if p, err := karat.FindNetwork(base, said); err == nil && p.Identity() == j.params.Identity() {
			return nil, "", nil
		}
		return nil, said, nil
	}
	if info, err := os.Stat(path); err == nil {
		e.mode = info.Mode().Perm()
	}
	// A line before all others is in no table.
	e.text = fmt.Sprintf("network = %q\n%s", j.params.Name, bytes.TrimPrefix(text, []byte("\ufeff")))
	return &e, "", nil
}
