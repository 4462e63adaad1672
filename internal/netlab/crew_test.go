package netlab

import (
	"errors"
	"os"
	"slices"
	"testing"
)

func TestCrew(t *testing.T) {
	for _, c := range []struct {
		name string
		fn   func(*Crew) error
		want string
	}{
		{"all is well", func(*Crew) error { return nil }, ""},
		{"its own error", func(*Crew) error { return errors.New("no") }, "no"},
		{"something cannot be built", func(c *Crew) error { c.Fatalf("no %s", "kernel"); return nil }, "no kernel"},
		{"nothing is left out", func(c *Crew) error { c.Skipf("no nft"); return nil }, "no nft"},
		{"a step fails", func(c *Crew) error { c.Must(errors.New("no")); return nil }, "no"},
		{"something else failed meanwhile", func(c *Crew) error { c.Fail(errors.New("intruder")); return nil }, "intruder"},
	} {
		var order []int
		crew, dir := &Crew{Dir: t.TempDir()}, ""
		err := crew.Perform(func() error {
			crew.Cleanup(func() { order = append(order, 1) })
			dir = crew.TempDir()
			crew.Cleanup(func() { order = append(order, 2) })
			return c.fn(crew)
		})
		if got := ""; err != nil {
			got = err.Error()
			if got != c.want {
				t.Errorf("%s: %q", c.name, got)
			}
		} else if c.want != "" {
			t.Errorf("%s: no error", c.name)
		}
		if !slices.Equal(order, []int{2, 1}) {
			t.Errorf("%s: taken down in the order %v", c.name, order)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: the folder is still there: %v", c.name, err)
		}
	}
}
