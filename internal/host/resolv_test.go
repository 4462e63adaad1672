package host

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestResolvers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		links map[string]string // name: target
		want  string
	}{
		{"none", nil, nil, "[]"},
		{"plain", map[string]string{"etc/resolv.conf": "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"}, nil, "[192.0.2.53 2001:db8::53]"},
		{"sorted, without doubles", map[string]string{"etc/resolv.conf": "nameserver 192.0.2.54\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n"}, nil, "[192.0.2.53 192.0.2.54]"},
		{"comments and other lines", map[string]string{"etc/resolv.conf": "# nameserver 1.1.1.1\n;nameserver 1.1.1.1\nsearch example.org\noptions nameserver 9.9.9.9\n\tnameserver\t192.0.2.53 # mine\nnameserver nonsense\nnameserver\n"}, nil, "[192.0.2.53]"},
		{"zone", map[string]string{"etc/resolv.conf": "nameserver fe80::1%eth0\n"}, nil, "[fe80::1]"},
		{"systemd-resolved", map[string]string{
			"etc/resolv.conf":                  "nameserver 127.0.0.53\n",
			"run/systemd/resolve/resolv.conf":  "nameserver 192.0.2.53\n",
			"run/NetworkManager/unrelated.txt": "nameserver 192.0.2.99\n"}, nil, "[192.0.2.53]"},
		{"systemd-resolved, not in use", map[string]string{
			"etc/resolv.conf":                 "nameserver 192.0.2.1\n",
			"run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n"}, nil, "[192.0.2.1]"},
		{"dnsmasq of NetworkManager", map[string]string{
			"etc/resolv.conf":                        "nameserver 127.0.0.1\n",
			"run/NetworkManager/no-stub-resolv.conf": "nameserver 192.0.2.53\n"}, nil, "[192.0.2.53]"},
		{"symbolic link", map[string]string{"run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n", "run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n"},
			map[string]string{"etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf"}, "[192.0.2.53]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newTree(t)
			for name, content := range tc.files {
				f.write(name, content)
			}
			for name, to := range tc.links {
				f.link(to, name)
			}
			if got := fmt.Sprint(f.watcher().Snapshot().Resolvers); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A resolv.conf that is replaced, or whose target appears only later, is seen.
func TestResolversFollow(t *testing.T) {
	f := newTree(t)
	f.link("../run/systemd/resolve/stub-resolv.conf", "etc/resolv.conf")
	f.write("run/.keep", "")
	w := f.watcher()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	until := func(want string) {
		t.Helper()
		timeout := time.After(10 * time.Second)
		for {
			if fmt.Sprint(w.Snapshot().Resolvers) == want {
				return
			}
			select {
			case <-w.Changed():
			case <-timeout:
				t.Fatalf("got %v, want %s", w.Snapshot().Resolvers, want)
			}
		}
	}
	replace := func(name, content string) {
		t.Helper()
		f.write(name+".new", content)
		if err := os.Rename(filepath.Join(f.root, name+".new"), filepath.Join(f.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	until("[]")
	f.write("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
	replace("run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n")
	until("[192.0.2.53]")
	replace("run/systemd/resolve/resolv.conf", "nameserver 192.0.2.54\n")
	until("[192.0.2.54]")
	replace("etc/resolv.conf", "nameserver 192.0.2.55\n")
	until("[192.0.2.55]")
	if err := os.Remove(filepath.Join(f.root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	until("[]")
}

func FuzzResolvAddressesAreClean(f *testing.F) {
	f.Add([]byte("nameserver 127.0.0.53\nnameserver fe80::1%eth0\n"))
	f.Add([]byte("nameserver ::ffff:192.0.2.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if i := slices.IndexFunc(parseResolv(b), func(a netip.Addr) bool { return !a.IsValid() || a.Zone() != "" || a.Is4In6() }); i >= 0 {
			t.Errorf("%q: %v", b, parseResolv(b)[i])
		}
	})
}
