// The server of the standard library of Go: the multiplexer of paths, and the forms and JSON of a request.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
)

const grant = "urn:ietf:params:oauth:grant-type:token-exchange"

func isGrant(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.EqualFold(strings.TrimSpace(value), grant)
	case []string:
		for _, element := range value {
			if isGrant(element) {
				return true
			}
		}
	case []any:
		for _, element := range value {
			if isGrant(element) {
				return true
			}
		}
	case map[string]any:
		for _, element := range value {
			if isGrant(element) {
				return true
			}
		}
	}
	return false
}

// The decoder ignores the letter case of the name, and what follows the first value.
func jsonHasGrant(body []byte) bool {
	var document struct {
		GrantType any `json:"grant_type"`
	}
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&document)
	return err == nil && isGrant(document.GrantType)
}

// A response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header           { return d.header }
func (d discard) Write(data []byte) (int, error) { return len(data), nil }
func (d discard) WriteHeader(int)                {}

type handler struct{ found bool }

func (h *handler) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	request.Body = io.NopCloser(bytes.NewReader(body))
	// The error counts only for those who look at it: the form has what could be read.
	_ = request.ParseMultipartForm(1 << 20)
	h.found = isGrant(request.Form["grant_type"]) || isGrant(request.PostForm["grant_type"]) ||
		request.MultipartForm != nil && isGrant(request.MultipartForm.Value["grant_type"]) || jsonHasGrant(body)
}

func main() {
	fmt.Printf("net/http of %s\n", runtime.Version())
	handler := &handler{}
	mux := http.NewServeMux()
	mux.Handle("/token", handler)
	mux.Handle("/token/", handler)
	hasGrant := func(message []byte) byte {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(message)))
		if err != nil {
			return '0'
		}
		handler.found = false
		mux.ServeHTTP(discard{http.Header{}}, request)
		if handler.found {
			return '1'
		}
		return '0'
	}
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		var count uint32
		if binary.Read(input, binary.LittleEndian, &count) != nil {
			return
		}
		answers := make([]byte, count)
		for i := range answers {
			var length uint32
			if binary.Read(input, binary.LittleEndian, &length) != nil {
				return
			}
			message := make([]byte, length)
			if _, err := io.ReadFull(input, message); err != nil {
				return
			}
			answers[i] = hasGrant(message)
		}
		os.Stdout.Write(answers)
	}
}
