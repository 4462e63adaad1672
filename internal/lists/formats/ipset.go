package formats

import (
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// ipset returns the reader of the lines of `ipset save`: `create NAME TYPE …` and
// `add NAME ENTRY [timeout N] [comment "…"] [nomatch]`. Sets of something else than
// addresses are passed over.
func (r *reading) ipset() func(string) error {
	other := map[string]bool{} // sets that hold no addresses in their first field
	return func(line string) error {
		w := words(line)
		switch {
		case line[0] == '#' || len(w) == 0:
			return nil
		case w[0] == "create" && len(w) >= 3:
			if !(strings.HasPrefix(w[2], "hash:ip") || strings.HasPrefix(w[2], "hash:net") || strings.HasPrefix(w[2], "bitmap:ip")) && len(other) < 1000 {
				other[w[1]] = true
			}
			return nil
		case w[0] != "add":
			return nil // flush, swap, destroy, COMMIT
		case len(w) < 3:
			r.fault("%s: an entry is missing", gate.Quote(line, 64))
			return nil
		case other[w[1]]:
			return nil
		}
		return r.member(line, w)
	}
}

// member reads one entry of a set.
func (r *reading) member(line string, w []string) error {
	e := Entry{Rule: w[1]}
	for i := 3; i < len(w); i++ {
		switch {
		case w[i] == "nomatch":
			r.fault("%s: an exception cannot be taken over", gate.Quote(line, 64))
			return nil
		case w[i] == "timeout" && i+1 < len(w):
			if n, err := strconv.ParseInt(w[i+1], 10, 64); err == nil && n > 0 && n < 1<<32 {
				e.Left = time.Duration(n) * time.Second
			}
			i++
		case w[i] == "comment" && i+1 < len(w):
			e.Comment = w[i+1]
			i++
		}
	}
	net, port, has := strings.Cut(w[2], ",")
	if has {
		proto, number, named := strings.Cut(port, ":")
		if !named {
			proto, number = "tcp", port
		}
		var err error
		if e.Ports, err = gate.ParsePorts(number + "/" + proto); err != nil {
			r.fault("%s: only ports can stand behind the address", gate.Quote(w[2], 64))
			return nil
		}
	}
	return r.take(net, e)
}
