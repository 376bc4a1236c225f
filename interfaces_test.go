package karat

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The pure layer: values in, values out. What two packages say to each other is a
// type of these, so that one hands to the other what it has, and nobody translates.
var pure = []string{
	"node/doctor",
	"wallet/bip39", "internal/spelling",
	"rpc/devinfo",
	"chain/types", "chain/secp", "chain/taproot", "chain/descriptor", "chain/psbt", "chain/message", "chain/proof", "chain/consensus", "chain/network", "chain/forecast", "chain/header", "chain/coinstats", "chain/coinhistory",
	"chain/indexed", "chain/filter", "chain/standard", "chain/pending", "chain/event", "chain/journal", "chain/template", "mempool/fees", "miner/sha256d", "miner/sha256d/internal/fips180", "miner/stratuminfo", "p2p/peerinfo", "p2p/wire", "rpc/zmqinfo", "rpc/callinfo", "rpc/labinfo", "web/faucetinfo",
}

// The stateful packages, which meet through the interfaces that they declare.
var stateful = []string{"node/dev", "node/events", "chain", "chain/store", "chain/index", "chain/bootstrap", "mempool", "miner", "miner/stratum", "p2p", "p2p/addrbook", "p2p/dial", "p2p/noise", "p2p/portmap", "p2p/seed", "rpc", "rpc/zeromq", "web", "web/faucet", "wallet", "node", "node/lab", "node/monitor"}

// What interfaces may name although it is of neither layer.
var alsoSaid = map[string]string{
	"internal/poke.Source": "a poke has no content: there is nothing to say",
}

// Structs of stateful packages that have the fields of another and are no mirror.
var noMirror = map[string]string{
	"miner/stratum.Options": "a server and a pool are both made with a chain, a clock and a log, and differ in all else",
	"mempool.Options":       "what it is made of: the chain, the clock, the log",
	"miner.Options":         "what it is made of: the chain, the clock, the log",
	"node/dev.Options":      "what it is made of: the chain, the pool, the clock, the log",
	"web/faucet.Options":    "what it is made of: the chain, the pool, the clock, the log",
	"rpc.Options":           "two servers are made of the same parts of the node, each by interfaces of its own, and differ in what they let whom do",
	"web.Options":           "as rpc.Options",
	"wallet.Transaction":    "what its owner is told of a payment, confirmed or not; the wallet knows no pool",
}

// source is a package's declarations, without its tests.
type source struct {
	pkg     string
	types   map[string]ast.Expr          // by name
	imports map[string]map[string]string // of each type's file: paths by name, as pure has them
}

func readPackage(t *testing.T, pkg string) source {
	s := source{pkg, map[string]ast.Expr{}, map[string]map[string]string{}}
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files (%v)", pkg, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		imports := map[string]string{}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			imported = strings.TrimPrefix(imported, module+"/")
			if spec.Name != nil {
				imports[spec.Name.Name] = imported
			} else {
				imports[path.Base(imported)] = imported
			}
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				for _, spec := range d.Specs {
					spec := spec.(*ast.TypeSpec)
					s.types[spec.Name.Name], s.imports[spec.Name.Name] = spec.Type, imports
				}
			}
		}
	}
	return s
}

// TestInterfaces: what two packages say to each other is a type of the pure layer.
func TestInterfaces(t *testing.T) {
	checked := 0
	for _, pkg := range stateful {
		s := readPackage(t, pkg)
		for name, expr := range s.types {
			i, ok := expr.(*ast.InterfaceType)
			if !ok || !ast.IsExported(name) {
				continue
			}
			checked++
			for _, method := range i.Methods.List {
				what := pkg + "." + name
				if len(method.Names) > 0 {
					what += "." + method.Names[0].Name
				}
				s.checkSaid(t, what, s.imports[name], method)
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d interfaces were found", checked)
	}
}

// checkSaid checks all types that a method, or an interface that is embedded, names.
func (s source) checkSaid(t *testing.T, what string, imports map[string]string, in ast.Node) {
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // whose name is no type
			s.checkSaid(t, what, imports, n.Type)
			return false
		case *ast.Ident:
			expr, own := s.types[n.Name]
			if _, embedded := expr.(*ast.InterfaceType); own && !(embedded && ast.IsExported(n.Name)) {
				t.Errorf("%s names %s, which is %s's own: what is said belongs to the pure layer", what, n.Name, s.pkg)
			}
		case *ast.SelectorExpr:
			from := imports[n.X.(*ast.Ident).Name]
			first, _, _ := strings.Cut(from, "/")
			_, ours := allowed[from]
			standard := !ours && !strings.Contains(first, ".")
			if !standard && !slices.Contains(pure, from) && alsoSaid[from+"."+n.Sel.Name] == "" {
				t.Errorf("%s names %s.%s: what is said belongs to the pure layer", what, from, n.Sel.Name)
			}
			return false
		}
		return true
	})
}

// TestPure: each package is of one layer, and the pure layer stands on nothing but
// itself.
func TestPure(t *testing.T) {
	for pkg := range allowed {
		none := pkg == "." || strings.HasPrefix(pkg, "cmd/") || strings.HasPrefix(pkg, "test/") || slices.Contains(strings.Split(pkg, "/"), "internal")
		if !none && slices.Contains(pure, pkg) == slices.Contains(stateful, pkg) {
			t.Errorf("%s is neither pure nor stateful, or both", pkg)
		}
	}
	for _, pkg := range pure {
		for _, imported := range allowed[pkg] {
			if _, ours := allowed[imported]; ours && !slices.Contains(pure, imported) {
				t.Errorf("%s may import %s, which is not pure", pkg, imported)
			}
		}
	}
}

// TestNoMirrors: no exported struct of a stateful package says again, field by field,
// what one of another package says.
func TestNoMirrors(t *testing.T) {
	fields := map[string]map[string][]string{} // of each package's exported structs
	for _, pkg := range slices.Concat(pure, stateful) {
		fields[pkg] = map[string][]string{}
		for name, expr := range readPackage(t, pkg).types {
			if s, ok := expr.(*ast.StructType); ok && ast.IsExported(name) {
				fields[pkg][name] = fieldsOf(s)
			}
		}
	}
	for _, pkg := range stateful {
		for name, own := range fields[pkg] {
			for other, structs := range fields {
				for otherName, theirs := range structs {
					same := 0
					for _, field := range own {
						if slices.Contains(theirs, field) {
							same++
						}
					}
					fewer := min(len(own), len(theirs))
					if other != pkg && same >= 4 && 3*same >= 2*fewer && noMirror[pkg+"."+name] == "" {
						t.Errorf("%s.%s has %d of the %d fields of %s.%s: they are one type", pkg, name, same, len(theirs), other, otherName)
					}
				}
			}
		}
	}
}

// fieldsOf returns the names of a struct's fields, in lower case.
func fieldsOf(s *ast.StructType) (names []string) {
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			names = append(names, strings.ToLower(name.Name))
		}
	}
	return names
}
