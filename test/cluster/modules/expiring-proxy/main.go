// SPDX-License-Identifier: Apache-2.0

// A proxy in front of a real API server that makes its clients list everything anew, on demand: it ends their watches,
// and answers the next attempt to resume each of them with 410 Expired, as the server does when the version is gone from
// its cache. All other requests, the lists that follow among them, are the API server's own to answer. HTTP/2 and TLS
// on both sides.
//
//	expiring-proxy LISTEN UPSTREAM CA CERT KEY CONTROL
//
// On CONTROL, plain HTTP:
//
//	POST /expire   ends all watches; the next attempt to resume each is refused
//	GET /state     {"PATH": {"watches": open ones whose initial state has gone through, "refused": attempts to resume,
//	               "complete": initial states that went through whole, by list or by WatchList}, …}
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
)

const expired = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
	`"message":"too old resource version","reason":"Expired","code":410}`

var initialEnd = []byte("k8s.io/initial-events-end") // in the bookmark behind the initial state, JSON or protobuf

type resource struct {
	Watches  int `json:"watches"`
	Refused  int `json:"refused"`
	Complete int `json:"complete"`
	refuse   bool
}

var (
	lock      sync.Mutex // of all below
	resources = map[string]*resource{}
	streams   = map[*stream]bool{}
)

func find(path string) *resource {
	if resources[path] == nil {
		resources[path] = &resource{}
	}
	return resources[path]
}

// A stream is the body of a list or watch that is passed on.
type stream struct {
	io.ReadCloser
	path           string
	watch, initial bool // initial: its initial state is still coming
	tail           []byte
	ended          bool
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	lock.Lock()
	defer lock.Unlock()
	if s.ended {
		return 0, io.EOF
	}
	if s.initial && s.beginningEnds(p[:n], err) {
		s.initial = false
		find(s.path).Complete++
		if s.watch {
			find(s.path).Watches++
		}
	}
	return n, err
}

func (s *stream) beginningEnds(data []byte, err error) bool {
	if !s.watch {
		return err == io.EOF
	}
	seen := append(s.tail, data...)
	s.tail = append([]byte(nil), seen[max(0, len(seen)-len(initialEnd)):]...)
	return bytes.Contains(seen, initialEnd)
}

func (s *stream) Close() error {
	lock.Lock()
	if s.watch && !s.initial {
		find(s.path).Watches--
	}
	delete(streams, s)
	lock.Unlock()
	return s.ReadCloser.Close()
}

func follow(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	query := answer.Request.URL.Query()
	s := &stream{ReadCloser: answer.Body, path: answer.Request.URL.Path, watch: query.Get("watch") == "true"}
	s.initial = !s.watch || query.Get("sendInitialEvents") == "true"
	lock.Lock()
	defer lock.Unlock()
	if s.watch && !s.initial {
		find(s.path).Watches++
	}
	streams[s] = true
	answer.Body = s
	return nil
}

// isRefused says whether the request resumes a watch that was expired.
func isRefused(query url.Values, path string) bool {
	lock.Lock()
	defer lock.Unlock()
	r := find(path)
	if query.Get("watch") != "true" || query.Get("sendInitialEvents") == "true" || !r.refuse {
		return false
	}
	r.refuse = false
	r.Refused++
	return true
}

func expire(http.ResponseWriter, *http.Request) {
	lock.Lock()
	defer lock.Unlock()
	for s := range streams {
		if s.watch {
			s.ended = true
			find(s.path).refuse = true
			go s.ReadCloser.Close() // wakes its reader
		}
	}
}

func state(w http.ResponseWriter, _ *http.Request) {
	lock.Lock()
	defer lock.Unlock()
	json.NewEncoder(w).Encode(resources)
}

func proxy(upstream, ca string) http.Handler {
	target, err := url.Parse(upstream)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	reverse := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: follow,
		FlushInterval:  -1,
		Transport: &http.Transport{
			TLSClientConfig:    &tls.Config{RootCAs: roots},
			ForceAttemptHTTP2:  true,
			DisableCompression: true,
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isRefused(r.URL.Query(), r.URL.Path) {
			reverse.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		io.WriteString(w, expired)
	})
}

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: expiring-proxy LISTEN UPSTREAM CA CERT KEY CONTROL")
	}
	control := http.NewServeMux()
	control.HandleFunc("POST /expire", expire)
	control.HandleFunc("GET /state", state)
	go func() { log.Fatal(http.ListenAndServe(os.Args[6], control)) }()
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[4], os.Args[5], proxy(os.Args[2], os.Args[3])))
}
