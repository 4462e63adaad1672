package formats

import (
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// csf reads a line of csf.deny (an address, a prefix, or `tcp|in|d=22|s=192.0.2.1`)
// or of csf.tempban (`time|address|port|in|seconds|reason`).
func (r *reading) csf(line string) error {
	body, note := line, ""
	if i := strings.IndexByte(line, '#'); i >= 0 {
		body, note = strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:])
	}
	switch {
	case body == "":
		return nil
	case strings.HasPrefix(body, "Include "):
		r.fault("%s: another file is named; read it by itself", gate.Quote(body, 64))
		return nil
	case !strings.Contains(body, "|"):
		return r.take(body, Entry{Comment: note, Rule: jailOf(note)})
	}
	fields := strings.Split(body, "|")
	if began, err := strconv.ParseInt(fields[0], 10, 64); err == nil && len(fields) >= 6 {
		return r.tempban(began, fields)
	}
	return r.advanced(body, fields, note)
}

// jailOf finds the service in a comment of lfd: `lfd: (sshd) Failed SSH login`.
func jailOf(note string) string {
	_, rest, ok := strings.Cut(note, "(")
	name, _, end := strings.Cut(rest, ")")
	if ok && end && strings.HasPrefix(note, "lfd") && gate.IsName(name) {
		return name
	}
	return ""
}

// tempban reads a ban that ends.
func (r *reading) tempban(began int64, f []string) error {
	seconds, err := strconv.ParseInt(f[4], 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<31 || began < 0 || began > 1<<40 {
		r.fault("%s: not a ban of csf.tempban", gate.Quote(strings.Join(f, "|"), 64))
		return nil
	}
	e := Entry{Comment: f[5], Rule: jailOf(strings.Replace(f[5], "lfd - ", "lfd: ", 1))}
	if !r.o.Now.IsZero() {
		if e.Left = time.Unix(began, 0).Add(time.Duration(seconds) * time.Second).Sub(r.o.Now); e.Left <= 0 {
			return nil // it is over
		}
	}
	if f[2] != "" {
		if e.Ports, err = gate.ParsePorts(f[2] + "/tcp"); err != nil {
			r.fault("%s: not a port", gate.Quote(f[2], 32))
			return nil
		}
	}
	return r.take(f[1], e)
}

// advanced reads `tcp|in|d=22|s=192.0.2.1`.
func (r *reading) advanced(body string, fields []string, note string) error {
	e := Entry{Comment: note}
	proto, source, port := "", "", ""
	for _, f := range fields {
		switch k, v, _ := strings.Cut(f, "="); {
		case f == "tcp" || f == "udp":
			proto = f
		case f == "in":
		case k == "s":
			source = v
		case k == "d":
			port = strings.ReplaceAll(v, "_", "-")
		default:
			r.fault("%s: only what comes in from an address can be taken over", gate.Quote(body, 64))
			return nil
		}
	}
	if port != "" {
		if proto != "" {
			port += "/" + proto
		}
		var err error
		if e.Ports, err = gate.ParsePorts(port); err != nil {
			r.fault("%s: no ports in it", gate.Quote(body, 64))
			return nil
		}
	}
	return r.take(source, e)
}

// hostsDeny reads a line of hosts.deny: `sshd: 192.0.2.1, 198.51.100. : deny`.
func (r *reading) hostsDeny(line string) error {
	body, _, _ := strings.Cut(line, "#")
	daemons, clients, ok := strings.Cut(body, ":")
	if body = strings.TrimSpace(body); body == "" {
		return nil
	}
	if !ok {
		r.fault("%s: not a line of hosts.deny", gate.Quote(body, 64))
		return nil
	}
	e := Entry{Rule: strings.ToLower(strings.TrimSpace(daemons))}
	if e.Rule == "all" {
		e.Rule = ""
	}
	for _, c := range strings.FieldsFunc(cutOptions(clients), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
		if c == "EXCEPT" {
			r.fault("%s: EXCEPT cannot be taken over", gate.Quote(body, 64))
			return nil
		}
		if err := r.take(partial(c), e); err != nil {
			return err
		}
	}
	return nil
}

// cutOptions cuts what stands behind the clients: the next colon that is in no
// brackets.
func cutOptions(s string) string {
	depth := 0
	for i, c := range s {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ':' && depth == 0:
			return s[:i]
		}
	}
	return s
}

// partial completes the beginning of an address, `192.0.2.`, to its prefix.
func partial(s string) string {
	n := strings.Count(s, ".")
	if !strings.HasSuffix(s, ".") || n > 3 {
		return s
	}
	return s + strings.TrimSuffix(strings.Repeat("0.", 4-n), ".") + "/" + strconv.Itoa(8*n)
}

// portsentry reads a line of PortSentry's block list or history: `Host: NAME/ADDRESS
// Port: 111 TCP Blocked`, or that of version 2 `Scan from: [ADDRESS] …`.
func (r *reading) portsentry(line string) error {
	if line[0] == '#' {
		return nil
	}
	if _, rest, ok := strings.Cut(line, "Scan from: ["); ok {
		addr, _, _ := strings.Cut(rest, "]")
		return r.take(addr, Entry{Rule: "portsentry"})
	}
	_, rest, ok := strings.Cut(line, "Host: ")
	host, _, port := strings.Cut(rest, " Port:")
	if !ok || !port {
		r.fault("%s: not a line of PortSentry", gate.Quote(line, 64))
		return nil
	}
	return r.take(strings.TrimSpace(host[strings.LastIndexByte(host, '/')+1:]), Entry{Rule: "portsentry"})
}
