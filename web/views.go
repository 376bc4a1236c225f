package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// maxPage is how many bytes a page may have. Every list of a page is bounded, so no page
// comes near it; a fault must not fill memory.
const maxPage = 4 << 20

// views are the templates of all pages, and the files that pages refer to.
type views struct {
	byName  map[string]*template.Template
	static  map[string]made
	version string // of all of them, and of where they are shown
}

// Frame is what every page has around it.
type Frame struct {
	Title   string
	Here    string // which part of the menu it is
	Network string
	Live    string // what makes the page another: "block", "pool" or both; empty: nothing does
	Agent   string
}

func (s *Server) frame(title, here string) Frame {
	return Frame{Title: title, Here: here, Network: s.Params.Name, Agent: Printable(strings.Trim(s.UserAgent, "/"), 60)}
}

// live is a frame of a page that changes.
func (f Frame) live(what string) Frame {
	f.Live = what
	return f
}

func newViews(s *Server) *views {
	v := &views{byName: map[string]*template.Template{}, static: map[string]made{}}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n", s.Base, s.UserAgent, s.Params.Identity())
	for _, file := range files(staticFiles, "static") {
		v.static[path.Base(file.name)] = newMade(file.text, kindOf(file.name))
		sum.Write(file.text)
	}
	list := files(templateFiles, "templates")
	for _, file := range list {
		sum.Write(file.text)
	}
	v.version = hex.EncodeToString(sum.Sum(nil)[:8])
	common := template.New("").Funcs(s.functions(v.version))
	for _, file := range list {
		if strings.HasPrefix(path.Base(file.name), "_") {
			template.Must(common.Parse(string(file.text)))
		}
	}
	for _, file := range list {
		if name := strings.TrimSuffix(path.Base(file.name), ".html"); !strings.HasPrefix(name, "_") {
			v.byName[name] = template.Must(template.Must(common.Clone()).Parse(string(file.text)))
		}
	}
	return v
}

type embedded struct {
	name string
	text []byte
}

// files returns what is embedded, in a fixed order.
func files(from embed.FS, dir string) (list []embedded) {
	names, err := fs.ReadDir(from, dir)
	if err != nil {
		panic(err) // the compiler has put it there
	}
	for _, name := range names {
		at := path.Join(dir, name.Name())
		text, err := from.ReadFile(at)
		if err != nil {
			panic(err)
		}
		list = append(list, embedded{at, text})
	}
	return list
}

func kindOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// functions are what templates call.
func (s *Server) functions(version string) template.FuncMap {
	return template.FuncMap{
		"to":     func(parts ...any) string { return s.to(parts...) },
		"asset":  func(name string) string { return s.to("static", name) + "?" + version },
		"amount": amount, "count": count, "feerate": feeRate, "decimal": decimal, "scaled": scaled, "work": work, "size": size, "percent": percent,
		"when": when, "seconds": seconds, "ago": ago, "span": span, "short": short, "plural": plural, "duration": spanOf,
		"rateclass": rateClass, "free": func(full float64) string { return num(100 - fill(full)) }, "fill": func(full float64) string { return num(fill(full)) },
		"neg": func(f float64) float64 { return -f }, "float": float, "millis": func(d time.Duration) float64 { return float64(d) / 1e6 },
		"printable": func(text string) string { return Printable(text, 100) },
		"faucet":    func() bool { return s.Faucet != nil },
		"bitsAbove": func(zero int) int { return 256 - zero },
		"operator":  func() bool { return s.Operator }, // others are told so by the page itself
	}
}

// fill is how much of a block's picture is filled, in hundredths: enough to be seen.
func fill(full float64) float64 {
	if full <= 0 {
		return 0
	}
	return min(max(100*full, 3), 100)
}

// to returns the path of a page.
func (s *Server) to(parts ...any) string {
	var b strings.Builder
	b.WriteString(s.Base)
	for _, part := range parts {
		b.WriteByte('/')
		fmt.Fprint(&b, part)
	}
	if len(parts) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// render writes a page.
func (v *views) render(w *bytes.Buffer, name string, data any) error {
	t := v.byName[name]
	if t == nil {
		return fmt.Errorf("there is no template %q", name)
	}
	return t.ExecuteTemplate(&bounded{w, maxPage}, "page", data)
}

// bounded writes so many bytes and no more.
type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("the page has more than %d bytes", maxPage)
	}
	return b.w.Write(p)
}

// file answers with a static file. Its address changes with its content.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	m, ok := s.views.static[r.PathValue("name")]
	if !ok {
		s.fail(w, r, notFound("Not found", "There is no such file."))
		return
	}
	h := w.Header()
	h.Set("Content-Type", m.kind)
	h.Set("Vary", "Accept-Encoding")
	tag := `"` + s.views.version + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.URL.RawQuery != s.views.version {
		h.Set("Cache-Control", "no-cache")
	}
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.guard.charge(s.guard.visitorOf(r), m.length(r), 0)
	m.write(w, r)
}
