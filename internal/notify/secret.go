package notify

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/gate"
)

// Secret says where a secret is; it holds one itself only in Text. It writes
// itself as where it is, never as what it is. The zero value is no secret.
type Secret struct {
	File       string // path of a file whose first line it is
	Env        string // environment variable
	Credential string // name of a systemd credential (systemd.exec(5), LoadCredential=)
	Text       string // the secret itself, where the configuration may hold it
}

// maxSecret bounds a secret in bytes.
const maxSecret = 64 << 10

// IsSet reports whether there is one.
func (s Secret) IsSet() bool { return s != Secret{} }

// String says where the secret is.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "file " + s.File
	case s.Env != "":
		return "environment variable " + s.Env
	case s.Credential != "":
		return "credential " + s.Credential
	case s.Text != "":
		return "(hidden)"
	}
	return ""
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the secret out of documents.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Read returns the secret without white space around it. getenv is the
// environment. Errors say where it was looked for and what to do.
func (s Secret) Read(getenv func(string) string) (string, error) {
	switch {
	case s.File != "":
		return readSecret(s.File)
	case s.Credential != "":
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", fmt.Errorf("credential %s: systemd gave none to this process: add LoadCredential=%s:/path to its unit", s.Credential, s.Credential)
		}
		if !gate.IsName(s.Credential) {
			return "", fmt.Errorf("credential %s: not the name of a credential", gate.Quote(s.Credential, 64))
		}
		return readSecret(filepath.Join(dir, s.Credential))
	case s.Env != "":
		v := strings.TrimSpace(getenv(s.Env))
		if v == "" {
			return "", fmt.Errorf("environment variable %s is empty: set it for the daemon, as with EnvironmentFile= in its unit", s.Env)
		}
		return v, nil
	}
	return s.Text, nil
}

// readSecret reads a secret from a small regular file.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("secret: %s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	text := strings.TrimSpace(string(b))
	switch {
	case len(b) > maxSecret:
		return "", fmt.Errorf("secret: %s is larger than 64 kB", path)
	case text == "":
		return "", fmt.Errorf("secret: %s is empty", path)
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", fmt.Errorf("secret: %s has more than one line", path)
	}
	return text, nil
}

// redact returns an error whose text holds none of the secrets; servers and
// libraries repeat what they were sent. Short ones are left: they would match by
// chance, and are no secrets.
func redact(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := hide(err.Error(), secrets)
	if text == err.Error() {
		return err
	}
	var f *Failure
	if errors.As(err, &f) {
		return &Failure{Why: text, Permanent: f.Permanent, After: f.After}
	}
	return errors.New(text)
}

// hide takes secrets out of a text.
func hide(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}
