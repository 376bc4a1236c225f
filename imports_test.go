package karat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/karatcoin/karat"

// The package table of docs/architecture.md: what each package may import
// besides the standard library. Anyone may import the pure layer; stateful
// packages never import each other; only node knows them all.
var allowed = map[string][]string{
	"rpc/devinfo": {
		"chain/types",
	},
	"node/dev": {
		"internal/baton", "internal/keypath", "internal/poke", "chain/types", "chain/consensus", "chain/header", "chain/indexed", "chain/pending", "chain/standard", "chain/taproot", "rpc/devinfo", "wallet/bip39",
		"github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr", "github.com/btcsuite/btcd/btcutil/v2/hdkeychain", "github.com/btcsuite/btcd/chaincfg/v2",
	},
	".":                     {"internal/wholefile", "chain/consensus", "chain/network"},
	"internal/vectors":      {},
	"internal/vectors/pack": {},
	"internal/release":      {"."},
	"internal/wholefile":    {},
	"internal/nodetest":     {".", "internal/freeport", "chain/indexed", "node"},
	"internal/freeport":     {"golang.org/x/sys/unix"},
	"internal/pipenet":      {},
	"internal/simnet":       {},
	"internal/hostile":      {"internal/poke", "chain/types", "chain/consensus", "p2p/wire", "p2p/noise", "p2p/peerinfo"},
	"test/netns":            {"golang.org/x/sys/unix"},
	"test/rpcbench":         {"internal/measured", "internal/chainmaker", "chain/types", "chain/consensus", "chain/network"},
	"test/webbench":         {"internal/measured", "internal/chainmaker", "chain/types", "chain/consensus", "chain/network", "chain/taproot"},
	"internal/measured":     {},
	"internal/chainmaker": {
		"internal/chaintest", "chain/types", "chain/consensus", "chain/taproot",
		"github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr",
	},
	"internal/sim": {
		"internal/poke", "internal/chaintest", "internal/simnet", "internal/hostile", "chain/types", "chain/consensus", "chain/header", "chain/pending",
		"p2p", "p2p/noise", "p2p/peerinfo",
	},
	"internal/sockstest":          {},
	"internal/stratumtest":        {},
	"internal/pty":                {"golang.org/x/sys/unix"},
	"internal/cmdline":            {"internal/spelling", "chain/types", "github.com/BurntSushi/toml", "github.com/rivo/uniseg", "github.com/urfave/cli/v2", "github.com/schollz/progressbar/v3", "golang.org/x/term", "rsc.io/qr"},
	"internal/poke":               {},
	"internal/warnings":           {"internal/poke"},
	"internal/threadtime":         {"golang.org/x/sys/unix"},
	"internal/ratelog":            {},
	"internal/spelling":           {},
	"wallet/bip39":                {"internal/spelling", "golang.org/x/text/unicode/norm"},
	"internal/logswitch":          {},
	"internal/keypath":            {"chain/types", "chain/taproot", "github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr"},
	"internal/baton":              {},
	"chain/types":                 {},
	"chain/secp":                  {"golang.org/x/sys/cpu"},
	"chain/secp/internal/genifma": {},
	"chain/taproot": {
		"chain/types", "chain/secp",
		"github.com/btcsuite/btcd/address/v2/bech32", "github.com/btcsuite/btcd/btcec/v2", "golang.org/x/crypto/ripemd160",
	},
	"chain/descriptor": {
		"chain/types", "chain/taproot", "github.com/btcsuite/btcd/address/v2/base58", "github.com/btcsuite/btcd/btcec/v2",
		"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2", "github.com/btcsuite/btcd/btcutil/v2/hdkeychain", "golang.org/x/crypto/ripemd160",
	},
	"chain/message": {"chain/types", "chain/taproot", "chain/psbt"},
	"chain/proof":   {"chain/types", "chain/taproot", "chain/consensus"},
	"chain/psbt": {
		"chain/types", "chain/secp", "chain/taproot", "chain/descriptor",
		"github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr/musig2", "golang.org/x/crypto/ripemd160",
	},
	"chain/consensus":   {"chain/types", "chain/secp", "chain/taproot"},
	"chain/network":     {"chain/types", "chain/taproot", "chain/consensus"},
	"chain/forecast":    {"chain/types", "chain/consensus"},
	"chain/header":      {"chain/types", "chain/consensus"},
	"chain/coinstats":   {"chain/types", "golang.org/x/crypto/chacha20"},
	"chain/coinhistory": {"chain/types", "chain/coinstats", "chain/consensus"},
	"chain/bootstrap":   {"chain/types", "chain/consensus", "chain/header"},
	"chain/standard":    {"chain/types", "chain/consensus"},
	"chain/pending":     {"chain/types", "chain/consensus"},
	"chain/event":       {"chain/types", "chain/consensus", "chain/pending"},
	"chain/journal":     {"chain/types", "chain/taproot", "chain/consensus"},
	"chain/template":    {"chain/types", "chain/consensus", "chain/pending"},
	"chain/filter":      {"chain/types", "chain/taproot", "chain/consensus", "github.com/dchest/siphash"},
	"chain":             {"internal/poke", "internal/baton", "chain/types", "chain/secp", "chain/consensus", "chain/header"},
	"chain/store":       {"chain/types", "chain/consensus", "chain/header", "github.com/syndtr/goleveldb/", "golang.org/x/sys/unix"},
	"chain/indexed":     {"chain/types"},
	"chain/index":       {"internal/poke", "chain/types", "chain/consensus", "chain/filter", "chain/coinhistory", "chain/indexed", "github.com/syndtr/goleveldb/"},
	"mempool/fees":      {"chain/types"},
	"mempool":           {"mempool/fees", "internal/wholefile", "internal/poke", "internal/baton", "chain/pending", "chain/types", "chain/consensus", "chain/standard", "chain/header", "chain/secp", "chain/taproot"},
	"miner":             {"golang.org/x/time/rate", "internal/poke", "internal/baton", "chain/pending", "chain/template", "chain/types", "chain/consensus", "miner/sha256d"},
	"miner/sha256d":     {"chain/types", "chain/consensus", "miner/sha256d/internal/fips180", "golang.org/x/sys/cpu"},
	"p2p/addrbook":      {"internal/wholefile", "p2p/peerinfo"},
	"p2p":               {"internal/wholefile", "internal/poke", "internal/ratelog", "chain/pending", "chain/types", "chain/consensus", "chain/header", "p2p/addrbook", "p2p/wire", "p2p/noise", "p2p/peerinfo"},
	"p2p/dial":          {"p2p/peerinfo", "golang.org/x/net/proxy"},
	"miner/stratuminfo": {
		"chain/types",
	},
	"miner/stratum": {
		"internal/poke", "chain/types", "chain/consensus", "chain/taproot", "chain/template", "miner/stratuminfo",
	},
	"p2p/seed": {
		"internal/wholefile", "internal/ratelog", "chain/consensus", "p2p/addrbook", "p2p/dial", "p2p/noise", "p2p/peerinfo", "p2p/wire", "github.com/miekg/dns",
	},
	"p2p/portmap":      {"github.com/huin/goupnp", "github.com/huin/goupnp/", "github.com/jackpal/go-nat-pmp"},
	"p2p/peerinfo":     {"chain/types"},
	"p2p/wire":         {"chain/types", "p2p/peerinfo", "github.com/dchest/siphash"},
	"p2p/noise":        {"internal/wholefile", "chain/types", "p2p/peerinfo", "github.com/flynn/noise"},
	"internal/hook":    {},
	"rpc/zmqinfo":      {},
	"rpc/callinfo":     {},
	"node/doctor":      {"chain/types", "chain/consensus", "chain/indexed", "chain/pending", "miner/stratuminfo", "p2p/peerinfo", "web/faucetinfo"},
	"internal/machine": {"node/doctor", "golang.org/x/sys/unix"},
	"node/monitor": {
		"golang.org/x/net/netutil",
		"chain/types", "chain/consensus", "chain/header", "chain/pending", "miner/stratuminfo", "p2p/peerinfo", "rpc/callinfo", "github.com/VictoriaMetrics/metrics",
	},
	"node/events": {
		"internal/wholefile", "internal/poke", "chain/types", "chain/consensus", "chain/header", "chain/journal", "github.com/nats-io/nats.go", "github.com/nats-io/nats.go/jetstream",
	},
	"rpc/zeromq": {
		"internal/poke", "chain/types", "chain/consensus", "chain/event", "chain/pending", "rpc/zmqinfo", "github.com/go-zeromq/zmq4", "github.com/go-zeromq/zmq4/security/null",
	},
	"rpc": {
		"rpc/devinfo",
		"internal/wholefile", "internal/ratelog", "internal/poke", "internal/baton", "chain/types", "chain/consensus", "chain/header", "chain/pending", "chain/standard", "chain/template", "chain/secp", "chain/taproot", "chain/descriptor", "chain/filter", "chain/coinstats", "chain/coinhistory", "miner/stratuminfo", "p2p/peerinfo",
		"chain/indexed", "chain/event", "chain/proof",
		"chain/psbt", "chain/message", "github.com/btcsuite/btcd/address/v2/base58",
		"rpc/labinfo", "rpc/zmqinfo", "rpc/callinfo", "node/doctor", "golang.org/x/time/rate", "github.com/gorilla/websocket",
	},
	"web/faucetinfo": {"chain/types"},
	"web/faucet": {
		"internal/keypath", "internal/wholefile", "internal/poke", "chain/types", "chain/consensus", "chain/pending", "chain/standard", "chain/taproot", "web/faucetinfo",
		"github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr",
	},
	"web": {
		"internal/ratelog", "internal/poke", "chain/types", "chain/consensus", "chain/header", "chain/pending", "chain/taproot", "chain/descriptor", "chain/network", "chain/indexed", "chain/proof",
		"miner/stratuminfo", "p2p/peerinfo", "web/faucetinfo", "golang.org/x/time/rate", "rsc.io/qr",
	},
	"wallet": {
		"internal/keypath", "internal/wholefile", "chain/types", "chain/consensus", "chain/proof", "chain/standard", "chain/taproot", "chain/descriptor", "chain/psbt", "chain/message", "chain/filter",
		"github.com/btcsuite/btcd/address/v2/base58", "github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr", "github.com/btcsuite/btcd/btcec/v2/schnorr/musig2", "github.com/btcsuite/btcd/btcutil/v2/hdkeychain",
		"github.com/btcsuite/btcd/chaincfg/v2", "github.com/syndtr/goleveldb/",
		"golang.org/x/crypto/argon2", "golang.org/x/crypto/chacha20", "golang.org/x/crypto/chacha20poly1305", "golang.org/x/sys/unix", "golang.org/x/text/unicode/norm",
		"wallet/bip39",
	},
	"node": {
		"node/dev", "rpc/devinfo",
		"internal/machine", "node/doctor",
		".", "internal/wholefile", "internal/poke", "internal/warnings", "internal/ratelog", "internal/logswitch", "internal/threadtime", "chain/types", "chain/consensus", "chain/event", "chain/header", "chain/pending", "chain/taproot", "chain/coinstats", "chain/indexed", "chain/bootstrap", "chain", "chain/store", "chain/index",
		"mempool", "miner", "miner/stratum", "p2p", "p2p/dial", "p2p/noise", "p2p/peerinfo", "p2p/portmap", "rpc", "rpc/zeromq", "rpc/zmqinfo", "web", "web/faucet", "internal/hook", "node/monitor", "node/events",
	},
	"node/lab":    {"internal/baton", "internal/poke", "internal/simnet", "chain/types", "chain/consensus", "chain/header", "chain/indexed", "chain/pending", "node", "rpc/labinfo"},
	"rpc/labinfo": {"chain/types"},
	"internal/chaintest": {
		"chain/types", "chain/taproot", "github.com/btcsuite/btcd/btcec/v2", "github.com/btcsuite/btcd/btcec/v2/schnorr",
	},
	"miner/sha256d/internal/genscan": {"miner/sha256d/internal/fips180"},
	"miner/sha256d/internal/fips180": {},
	"cmd/karat": {
		"chain/proof", "chain/psbt",
		".", "internal/cmdline", "internal/wholefile", "chain/types", "chain/consensus", "chain/taproot", "chain/message", "wallet", "rpc",
		"github.com/urfave/cli/v2",
		"wallet/bip39",
	},
	"cmd/karatd": {
		"node/events", "chain/journal",
		"node/dev", "node/lab", "rpc/devinfo", "rpc/labinfo",
		"internal/machine", "node/doctor",
		".", "internal/cmdline", "internal/wholefile", "chain/types", "chain/consensus", "chain/indexed", "chain/network", "chain/forecast", "chain/taproot", "chain", "chain/store", "node", "rpc/zmqinfo", "rpc", "p2p/noise", "p2p/dial", "p2p/seed",
		"miner/sha256d", "github.com/urfave/cli/v2", "github.com/BurntSushi/toml", "web/faucet", "github.com/coreos/go-systemd/v22/daemon",
	},
}

// TestImports reads the sources in this process: a test that asked the go tool
// would be answered from the cache.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			// test/oracle, test/browser, test/beyond and cmd/karat-events are modules of their own.
			if path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == filepath.Join("test", "oracle") || path == filepath.Join("test", "browser") || path == filepath.Join("test", "beyond") || path == filepath.Join("cmd", "karat-events") || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			seen[filepath.ToSlash(filepath.Dir(path))] = true
			checkFile(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("the table names %s, which does not exist", pkg)
		}
	}
}

func checkFile(t *testing.T, path string) {
	pkg := filepath.ToSlash(filepath.Dir(path))
	may, known := allowed[pkg]
	if !known {
		t.Errorf("%s: package %s is not in the table", path, pkg)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Errorf("%s: import %s: %v", path, spec.Path.Value, err)
			continue
		}
		first, _, _ := strings.Cut(imported, "/")
		if !strings.Contains(first, ".") {
			continue // the standard library
		}
		if imported == module {
			imported = "."
		}
		imported = strings.TrimPrefix(imported, module+"/")
		if !slices.ContainsFunc(may, func(m string) bool {
			return imported == m || strings.HasSuffix(m, "/") && strings.HasPrefix(imported, m)
		}) {
			t.Errorf("%s imports %s, which the table does not allow %s", path, imported, pkg)
		}
	}
}

// TestPackagesAreTold: docs/architecture.md says of each package what it is for, and tells of none
// that is not there.
func TestPackagesAreTold(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{".": true} // in a sentence of its own
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(row, "|")
		if !strings.HasPrefix(row, "| `") || len(cells) != 5 || strings.Contains(cells[1], ".") { // a row of the table of locks
			continue
		}
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			if _, known := allowed[name[1]]; !known {
				t.Errorf("docs/architecture.md tells of %s, which is no package", name[1])
			}
			told[name[1]] = true
		}
	}
	for pkg := range allowed {
		if !told[pkg] {
			t.Errorf("docs/architecture.md does not say what %s is for", pkg)
		}
	}
}

// Packages that call or look up others by themselves. All else does so by p2p/dial, so
// that nothing of a node goes around its proxy. No router is asked behind one, and a seed
// is no node.
var mayCall = []string{"p2p/dial", "p2p/portmap", "p2p/seed"}

// caller is what calls, or looks up, in package net.
var caller = regexp.MustCompile(`^(Dial|Lookup|Resolve|DefaultResolver$|ListenUDP|ListenPacket|ListenMulticast|ListenConfig)`)

// TestOneWayOut: what peers make a node do reaches the network by p2p/dial alone.
func TestOneWayOut(t *testing.T) {
	for pkg := range allowed {
		if !strings.HasPrefix(pkg, "p2p") && pkg != "node" && !strings.HasPrefix(pkg, "cmd/karatd") || slices.Contains(mayCall, pkg) {
			continue
		}
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if from, ok := s.X.(*ast.Ident); ok && from.Name == "net" && caller.MatchString(s.Sel.Name) {
						t.Errorf("%s: net.%s goes around the proxy; use what p2p/dial gives", path, s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
