package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// nodesFile holds the nodes that karat connect has stored, in the network's data folder. Their
// passwords stand in it, so only its owner may read it.
const (
	nodesFile    = "nodes.json"
	nodesVersion = 1
	maxNodesFile = 1 << 20 // bytes
)

// storedNode is a node that karat connect has stored.
type storedNode struct {
	URL      string `json:"url"` // with the fingerprint
	User     string `json:"user"`
	Password string `json:"password"`
}

type storedNodes struct {
	Version int          `json:"version"`
	Nodes   []storedNode `json:"nodes"`
}

// name is what a node is called in messages: its address.
func (n storedNode) name() string { return nodeName(n.URL) }

func nodeName(where string) string {
	name, _, _ := strings.Cut(where, "#")
	return name
}

// storedNodes reads the nodes that are stored, in the order in which they were.
func (h home) storedNodes() ([]storedNode, error) {
	path := filepath.Join(h.dir, nodesFile)
	raw, err := wholefile.Read(path, maxNodesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list storedNodes
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err == nil && list.Version > nodesVersion {
		err = fmt.Errorf("it has version %d, from a later karat, and this one knows version %d", list.Version, nodesVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w (remove it, and connect to the nodes again)", path, err)
	}
	return list.Nodes, nil
}

// storeNodes writes the nodes that are stored, whole or not at all.
func (h home) storeNodes(list []storedNode) error {
	raw, err := json.MarshalIndent(storedNodes{nodesVersion, list}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	return wholefile.ReplaceBytes(filepath.Join(h.dir, nodesFile), append(raw, '\n'))
}

// askedNode is a node that commands ask.
type askedNode struct {
	name   string
	where  string // as the command line named it; empty if it is stored
	user   string // empty: the cookie
	stored bool
	client *rpc.Client
}

// nodes returns all nodes that commands ask. It connects to nobody yet: a command that needs
// no answer works without a node.
func (h home) nodes(c *cli.Context) (*wallet.Nodes, error) {
	list, err := h.asked(c)
	if err != nil {
		return nil, err
	}
	named := make([]wallet.Named, len(list))
	for i, n := range list {
		named[i] = wallet.Named{Name: n.name, Node: n.client}
	}
	return wallet.NewNodes(named...), nil
}

// client returns a client of the node that is preferred.
func (h home) client(c *cli.Context) (*rpc.Client, error) {
	list, err := h.asked(c)
	if err != nil {
		return nil, err
	}
	return list[0].client, nil
}

// asked returns the nodes that the flags name. If they name none it is the one on this machine,
// if there is one or nobody knows another, and those that are stored.
func (h home) asked(c *cli.Context) (list []askedNode, err error) {
	stored, err := h.storedNodes()
	if err != nil {
		return nil, err
	}
	named := strings.Fields(strings.Join(c.StringSlice(flagRPC), " ")) // the environment has them in one line
	if len(named) == 0 {
		if len(stored) == 0 || c.IsSet(flagUser) || c.IsSet(flagCookie) || fileExists(filepath.Join(h.dir, cookieFile)) {
			named = []string{fmt.Sprintf("127.0.0.1:%d", h.params.Ports.RPC)}
		}
		for _, n := range stored {
			named = append(named, n.URL)
		}
	}
	for _, where := range named {
		n, err := h.reach(c, where, stored)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(other askedNode) bool { return other.name == n.name }) {
			list = append(list, n)
		}
	}
	return list, nil
}

// cookieFile is the node's cookie in the network's data folder.
const cookieFile = ".cookie"

// reach returns a client of a node. A node that is stored is known by what was stored, unless
// the command line says how to log in. How it is known may be said there too, and more strictly:
// a fingerprint or certificate that is named is checked.
func (h home) reach(c *cli.Context, where string, stored []storedNode) (askedNode, error) {
	at, err := h.address(c, where)
	if err != nil {
		return askedNode{}, err
	}
	if i := slices.IndexFunc(stored, func(n storedNode) bool { return sameHost(n.URL, at.URL) }); i >= 0 && !c.IsSet(flagUser) && !c.IsSet(flagCookie) {
		n, err := stored[i].reach()
		if pinned := strings.Contains(where, "#") || c.IsSet(flagCert); err == nil && (pinned || strings.HasPrefix(at.URL, "https://") && !strings.HasPrefix(stored[i].URL, "https://")) {
			n.client.At(at)
		}
		return n, err
	}
	n := askedNode{name: nodeName(at.URL), where: where, user: c.String(flagUser)}
	password, err := cmdline.Password(c, n.user, c.String(flagPassword))
	if err != nil {
		return n, err
	}
	if n.user != "" {
		warnPlain(c, at.URL)
		n.client = rpc.NewClient(at.URL, n.user, password).At(at)
		return n, nil
	}
	// Whoever gets the cookie can do everything with the node, so it stays on this
	// machine, unless somebody has named the file and a server that is known.
	if !isLoopback(at.URL) && (!c.IsSet(flagCookie) || !strings.HasPrefix(at.URL, "https://")) {
		return n, cmdline.Usagef("%s is another machine, and the cookie is for this one: log in with --%s NAME and --%s FILE (`karatd rpcauth NAME` makes them for the node), or by a line for karat connect (`karatd invite NAME`)", at.URL, flagUser, flagPassword)
	}
	cookie := c.String(flagCookie)
	if cookie == "" {
		cookie = filepath.Join(h.dir, cookieFile)
	}
	n.client = rpc.NewCookieClient(at.URL, cookie).At(at)
	return n, nil
}

// reach returns a client of a node that is stored.
func (n storedNode) reach() (askedNode, error) {
	at, err := rpc.ParseAddress(n.URL, "")
	if err != nil {
		return askedNode{}, fmt.Errorf("%s, %s: %w", nodesFile, n.name(), err)
	}
	return askedNode{name: n.name(), user: n.User, stored: true, client: rpc.NewClient(at.URL, n.User, n.Password).At(at)}, nil
}

// warnPlain warns of a password that everybody on the way can read.
func warnPlain(c *cli.Context, where string) {
	if strings.HasPrefix(where, "http://") && !isLoopback(where) {
		fmt.Fprintf(c.App.ErrWriter, "karat: the password goes to %s in clear, and everybody on the way can change the answers: use https://\n", where)
	}
}

// address returns where a node is, and how it is known.
func (h home) address(c *cli.Context, where string) (rpc.Address, error) {
	cert := c.String(flagCert)
	if strings.Contains(where, "@") { // everybody on the machine would see the password, and errors would repeat it
		return rpc.Address{}, cmdline.Usagef("--%s must not hold a user and password: use --%s and --%s, or karat connect", flagRPC, flagUser, flagPassword)
	}
	if cert == "" && strings.HasPrefix(where, "https://") && !strings.Contains(where, "#") {
		if own := filepath.Join(h.dir, rpc.CertificateFile); fileExists(own) {
			cert = own
		}
	}
	at, err := rpc.ParseAddress(where, cert)
	if err != nil {
		return at, cmdline.Usagef("--%s: %w", flagRPC, err)
	}
	return at, nil
}

// certified returns when the certificate by which a node is known was written, or zero if there
// is none.
func (h home) certified(c *cli.Context) time.Time {
	file := c.String(flagCert)
	if file == "" {
		file = filepath.Join(h.dir, rpc.CertificateFile)
	}
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// sameHost reports whether two URLs are of one host and port.
func sameHost(a, b string) bool {
	first, errA := url.Parse(nodeName(a))
	second, errB := url.Parse(nodeName(b))
	return errA == nil && errB == nil && strings.EqualFold(first.Host, second.Host)
}

// isLoopback reports whether a URL is of this machine.
func isLoopback(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}
