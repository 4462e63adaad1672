package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/internal/gate"
)

// routes is every route there is. GET looks and needs the right to read; the
// others change something and need the right to write (see Server.guard).
func (s *Server) routes(h huma.API) {
	route(h, "GET /v1/status", "status", "The state of the daemon", s.status)

	stream(h, "GET /v1/bans", "bans", "The bans in force, one JSON document a line", Ban{}, s.bans)
	route(h, "POST /v1/bans", "ban", "Ban addresses and prefixes; again extends and never shortens", s.ban)
	route(h, "POST /v1/bans/lift", "unban", "Lift bans, and forget what was counted", s.unban)
	route(h, "POST /v1/bans/adopt", "adopt", "Take bans over that another program decided: those in force, and those that are over as history", s.adopt)
	route(h, "GET /v1/why", "why", "The whole story of one subject", s.why)
	route(h, "GET /v1/what-if", "whatIf", "What would follow if one subject offended, or was banned, lifted or allowed", s.whatIf)

	stream(h, "GET /v1/log", "log", "Records of the ledger, oldest first, one JSON document a line", gate.Record{}, s.log)

	route(h, "GET /v1/allow", "allowList", "Who is never banned because somebody said so", s.allowList)
	route(h, "POST /v1/allow", "allow", "Never ban these addresses, prefixes and host names; lifts their bans", s.allow)
	route(h, "POST /v1/allow/remove", "disallow", "Take entries back that were added by command", s.disallow)

	route(h, "GET /v1/notify/queue", "notifyQueue", "What waits to be told", s.notifyQueue)
	route(h, "POST /v1/notify/test", "notifyTest", "Send a real message through a channel", s.notifyTest)

	route(h, "GET /v1/whois", "whois", "Who is behind an address; name servers and registries may be asked", s.whois)
	route(h, "GET /v1/report", "showReport", "What would be reported of an address", s.reportShow)
	route(h, "POST /v1/report", "sendReport", "Report an address now, within the bounds of the configuration", s.reportSend)
	route(h, "GET /v1/digest", "digest", "Who was banned most, from where, at which services, and the trend", s.digest)

	route(h, "GET /v1/hooks/{name}", "hookRuns", "The latest runs of a hook, oldest first", s.hookRuns)
	route(h, "POST /v1/lists/{name}/refresh", "refreshList", "Look at a block list now", s.refreshList)
	route(h, "POST /v1/lists/{name}/accept", "acceptList", "Take what is held back of a block list", s.acceptList)

	route(h, "GET /v1/ports", "ports", "Which ports are closed, and which are open that would be closed", s.ports)
	route(h, "POST /v1/ports", "askPorts", "Close or open ports, or take that back", s.askPorts)
	route(h, "POST /v1/ports/confirm", "confirmPorts", "Make changes last that cut somebody's own session", s.confirmPorts)

	route(h, "GET /v1/panel", "panel", "How the alarm panel and the connection to it are", s.panelState)
	route(h, "POST /v1/panel", "orderPanel", "Arm, disarm, bypass, press keys; answers when the panel's own state says what became of it", s.panelOrder)
	route(h, "GET /v1/panel/settings", "panelSettings", "Ask the panel's adapter for its settings", s.panelSettings)
	stream(h, "GET /v1/panel/follow", "followPanel", "What happens at the alarm panel, one JSON document a line", PanelItem{}, s.panelFollow)

	route(h, "POST /v1/reload", "reload", "Read the configuration again; on an error nothing changes", s.reload)
	route(h, "POST /v1/stop", "stop", "Stop the daemon", s.stop)
}

// Bounds of a request.
const (
	maxBody       = 4 << 20          // bytes of a request's body: MaxSubjects long ones fit
	answerTime    = time.Minute      // for answering, streams aside
	bodyTime      = 90 * time.Second // for reading it; longer than answerTime, because a request that is being answered ends with it, too
	writeTime     = 30 * time.Second // for one write of a stream to a slow reader
	maxConcurrent = 128              // requests at once; one more gets an error
)

// MaxSubjects is how many subjects one request may name; the Client cuts longer
// lists into several requests.
const MaxSubjects = 5000

// newAPI returns the handler of all routes and their description.
func (s *Server) newAPI(version string) (http.Handler, *huma.OpenAPI) {
	mux := http.NewServeMux()
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Gatehouse", Version: version, Description: "What the gatehouse daemon answers on its unix socket. " +
				"Root and the daemon's own user may use every route, members of its group those with GET. " +
				"Durations are written 90s, 10m, 1h30m, 7d or forever; times are RFC 3339 in UTC."},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)},
		},
		Formats:                      huma.DefaultFormats,
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{reshape},
	}
	h := humago.New(mux, c)
	s.routes(h)
	doc := h.OpenAPI()
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // the library's own, which no route sends
		delete(doc.Components.Schemas.Map(), unused)
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			writeError(w, &Error{Message: "describe the routes: " + err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text) // the caller hung up: nothing to tell, nobody to tell it
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Status: http.StatusNotFound, Message: "there is no route " + r.Method + " " + gate.Quote(r.URL.Path, 64),
			Hint: "the routes and their documents are described at /openapi.json"})
	})
	return mux, doc
}

// operation describes a route, written as `METHOD /path`.
func operation(h huma.API, where, id, summary string) huma.Operation {
	method, path, _ := strings.Cut(where, " ")
	right := "read"
	if method != http.MethodGet {
		right = "write"
	}
	failed := &huma.Response{
		Description: "It failed or was refused",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Error](), true, "Error")}},
	}
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		Description:     "Needs the right to " + right + ".",
		Responses:       map[string]*huma.Response{"default": failed},
		MaxBodyBytes:    maxBody,
		BodyReadTimeout: bodyTime,
	}
}

// document is a response that is one JSON document.
type document[T any] struct{ Body T }

// route adds a route whose answer is one JSON document.
func route[I, T any](h huma.API, where, id, summary string, answer func(context.Context, *I) (T, error)) {
	huma.Register(h, operation(h, where, id, summary), func(ctx context.Context, in *I) (*document[T], error) {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		out, err := answer(ctx, in)
		if err != nil {
			return nil, asError(err)
		}
		return &document[T]{out}, nil
	})
}

// stream adds a route whose answer is lines, each a JSON document like item. An
// error on the way is the last line, and an Error.
func stream[I, T any](h huma.API, where, id, summary string, item T, run func(context.Context, *I, *lines) error) {
	op := operation(h, where, id, summary)
	op.Responses["200"] = &huma.Response{
		Description: "Lines, each a document of this form; an error on the way is the last line",
		Content: map[string]*huma.MediaType{linesType: {
			Schema: h.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(item), true, id)}},
	}
	huma.Register(h, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			_, w := humago.Unwrap(hc)
			l := newLines(w)
			l.end(run(ctx, in, l))
		}}, nil
	})
}
