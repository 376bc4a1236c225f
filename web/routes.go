package web

import (
	"net/http"
)

// finder finds the page that a request is about, without reading anything big.
type finder func(r *http.Request) (*page, error)

// routes says what is where.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, find := range map[string]finder{
		"/{$}":                  s.home,
		"/blocks":               s.blockList,
		"/block/{block}":        s.blockPage,
		"/address/{address}":    s.addressPage,
		"/descriptor":           s.descriptorPage,
		"/mempool":              s.mempoolPage,
		"/mining":               s.miningPage,
		"/supply":               s.supplyPage,
		"/about":                s.aboutPage,
		"/genesis.json":         s.genesisFile,
		"/network.json":         s.joinFile,
		"/network":              s.peersPage,
		"/tx/{txid}":            s.txPage,
		"/tx/{txid}/raw":        s.rawTx,
		"/block/{block}/header": s.rawHeader,
	} {
		mux.HandleFunc("GET "+s.Base+pattern, func(w http.ResponseWriter, r *http.Request) {
			p, err := find(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			s.answer(w, r, p)
		})
	}
	s.apiRoutes(mux)
	mux.HandleFunc("GET "+s.Base+"/faucet", s.faucetPage)
	mux.HandleFunc("POST "+s.Base+"/faucet", s.faucetPage)
	mux.HandleFunc("GET "+s.Base+"/search", s.search)
	mux.HandleFunc("GET "+s.Base+"/events", s.events)
	mux.HandleFunc("GET "+s.Base+"/static/{name}", s.file)
	mux.HandleFunc("GET "+s.Base+"/robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		// Every page is made of what others say again; a search engine has no use for it.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
	})
	if s.Base != "" {
		mux.Handle("GET "+s.Base, http.RedirectHandler(s.Base+"/", http.StatusMovedPermanently))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "these pages are only read", http.StatusMethodNotAllowed)
			return
		}
		s.fail(w, r, notFound("Not found", "There is no such page.", hint{"The newest blocks", s.to()}, hint{"All blocks", s.to("blocks")}))
	})
	return mux
}
