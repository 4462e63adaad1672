package config

import (
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"gatehouse/internal/gate"
)

// Secret says where a secret is: in a file, in the environment, or among the
// credentials of systemd. Text holds the value itself, which is allowed only
// where the value need not be secret, such as an address of a service. The zero
// value is no secret.
type Secret struct {
	File       string // absolute path of a file whose first line it is
	Env        string // name of an environment variable
	Credential string // name of a credential, as LoadCredential= of systemd.exec(5) has it
	Text       string // the value itself; never shown
}

// Forms of a secret in a file.
const secretHint = "write {file: /etc/gatehouse/name.secret}, {env: NAME} or {credential: name}"

// envName is the name of an environment variable.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// UnmarshalText reads `file:/path`, `env:NAME`, `credential:name`, or the value
// itself.
func (s *Secret) UnmarshalText(b []byte) error {
	text := string(b)
	scheme, rest, _ := strings.Cut(text, ":")
	out := Secret{}
	switch scheme {
	case "file":
		out.File = rest
	case "env":
		out.Env = rest
	case "credential":
		out.Credential = rest
	default:
		out.Text = text
	}
	if err := out.fault(); err != nil {
		return err
	}
	*s = out
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Secret) MarshalText() ([]byte, error) {
	switch {
	case s.File != "":
		return []byte("file:" + s.File), nil
	case s.Env != "":
		return []byte("env:" + s.Env), nil
	case s.Credential != "":
		return []byte("credential:" + s.Credential), nil
	}
	return []byte(s.Text), nil
}

// fault returns what is wrong with where it is said to be.
func (s *Secret) fault() error {
	switch {
	case s.File != "" && !filepath.IsAbs(s.File):
		return wrong(gate.Quote(s.File, 64)+" is not an absolute path", "paths start with /; ~ and $VARIABLES are not expanded")
	case s.Env != "" && !envName.MatchString(s.Env):
		return wrong(gate.Quote(s.Env, 64)+" is not the name of an environment variable", "write {env: GATEHOUSE_MAIL}")
	case s.Credential != "" && !gate.IsName(s.Credential):
		return wrong(gate.Quote(s.Credential, 64)+" is not the name of a credential", "write {credential: mail}, and LoadCredential=mail:/path in the unit")
	}
	return nil
}

// secret reads a Secret from its text or from one of its keys. No problem with it
// shows the line it stands in.
func (d *decoder) secret(n *node, v reflect.Value, f field) bool {
	before := len(d.problems)
	ok := d.secretAt(n, v, f)
	for i := before; i < len(d.problems); i++ {
		d.problems[i].Excerpt = ""
	}
	if ok && d.o.SecretProblem != nil {
		if err := d.o.SecretProblem(v.Interface().(Secret)); err != nil {
			d.problem(n, "the daemon leaves off what needs it until it is there", "%v", err)
			d.problems[len(d.problems)-1].Excerpt = ""
			return false
		}
	}
	return ok
}

func (d *decoder) secretAt(n *node, v reflect.Value, f field) bool {
	if n.kind != mapping {
		return d.scalar(n, v, f, "a secret", func() error {
			return v.Addr().Interface().(*Secret).UnmarshalText([]byte(n.text))
		})
	}
	var s Secret
	places := map[string]*string{"file": &s.File, "env": &s.Env, "credential": &s.Credential}
	for _, e := range n.entries {
		to := places[e.key.text]
		if to == nil || e.value.kind != text || e.value.text == "" {
			d.problem(e.key, secretHint, "this does not say where a secret is")
			return false
		}
		*to = e.value.text
	}
	if len(n.entries) != 1 {
		d.problem(n, secretHint, "a secret is in one place")
		return false
	}
	v.Set(reflect.ValueOf(s))
	return d.accept(n, s.fault()) && d.accept(n, runChecks(f, v, false))
}

// hidden wants a secret that is elsewhere than in this file.
func hidden(v reflect.Value) error {
	if v.Interface().(Secret).Text != "" {
		return wrong("a secret does not belong in this file", secretHint)
	}
	return nil
}

// tellTale finds addresses that may carry a secret: those of services, and user
// names, passwords and queries of others.
var tellTale = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://([^\s"'\]},]+)`)

// harmlessSchemes are those whose addresses carry no secret but for a user name.
var harmlessSchemes = []string{"udp", "tcp", "tls", "unix", "http", "https", "mqtt", "mqtts"}

// masked returns a line with what may be secret in its addresses hidden, each
// character by a dot, so that columns stay.
func masked(line string) string {
	return tellTale.ReplaceAllStringFunc(line, func(s string) string {
		scheme, rest, _ := strings.Cut(s, "://")
		for _, h := range harmlessSchemes {
			if strings.EqualFold(h, scheme) {
				at, query := strings.LastIndexByte(rest, '@'), strings.IndexByte(rest, '?')
				if at < 0 && query < 0 {
					return s
				}
				if query < 0 {
					query = len(rest)
				}
				if at > query {
					at = -1
				}
				return scheme + "://" + dots(rest[:at+1]) + rest[at+1:query] + dots(rest[query:])
			}
		}
		return scheme + "://" + dots(rest)
	})
}

func dots(s string) string { return strings.Repeat("•", len([]rune(s))) }
