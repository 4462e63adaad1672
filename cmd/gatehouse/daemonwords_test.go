package main

import (
	"testing"

	"gatehouse/internal/api"
)

func TestStopWords(t *testing.T) {
	for _, c := range []struct {
		observed, flush bool
		want            string
	}{
		{false, false, "stopped; the bans stay in the kernel until they end"},
		{false, true, "stopped; the bans have left the kernel"},
		{true, false, "stopped; it only observed, and put nothing into the kernel"},
		{true, true, "stopped; it only observed, and put nothing into the kernel"},
	} {
		if got := stopWords(c.observed, c.flush); got != c.want {
			t.Errorf("observed %v, flush %v: %q, want %q", c.observed, c.flush, got, c.want)
		}
	}
}

func TestSourceState(t *testing.T) {
	for _, c := range []struct {
		s    api.Source
		want string
	}{
		{api.Source{State: "caught up"}, "caught up"},
		{api.Source{State: "caught up", Lines: 1, Hits: 0}, "caught up, 1 line, 0 hits"},
		{api.Source{State: "caught up", Why: "read here, so not in the journal: ssh.service", Lines: 5, Hits: 2, Behind: 7}, "caught up: read here, so not in the journal: ssh.service; 5 lines, 2 hits, 7 B behind"},
	} {
		if got := (&env{}).sourceState(c.s); got != c.want {
			t.Errorf("%+v: %q, want %q", c.s, got, c.want)
		}
	}
}
