package ad2

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestScratchSeq(t *testing.T) {
	f, _ := os.Open("/work/shared/vectors/ad2/sequences.jsonl")
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<22)
	only := os.Getenv("SEQ")
	for s.Scan() {
		var v struct {
			ID, Desc string
			Steps    []struct {
				T      float64
				Raw    *string
				Events [][]any
			}
		}
		json.Unmarshal(s.Bytes(), &v)
		if only != "" && v.ID != only {
			continue
		}
		fmt.Println("###", v.ID, v.Desc)
		p := New(Config{})
		start := time.Unix(0, 0)
		now := start
		show := func(es []Event) {
			for _, e := range es {
				fmt.Printf("      ours %.1f %s z%d u%d %s\n", e.Time.Sub(start).Seconds(), e.Kind, e.Zone, e.User, e.Sentence())
			}
		}
		for _, st := range v.Steps {
			to := start.Add(time.Duration(st.T * 1e9))
			for n := p.Next(); !n.IsZero() && n.Before(to); n = p.Next() {
				if n.Before(now.Add(time.Second)) {
					n = now.Add(time.Second)
				}
				if !n.Before(to) {
					break
				}
				now = n
				show(p.Advance(now))
			}
			now = to
			for _, e := range st.Events {
				if e[0] != "on_message" && e[0] != "on_lrr_message" && e[0] != "on_expander_message" {
					fmt.Printf("   ref %.1f %v %v\n", st.T, e[0], e[1])
				}
			}
			if st.Raw == nil {
				show(p.Advance(now))
				continue
			}
			w, err := Decode(*st.Raw)
			if err != nil {
				fmt.Println("ERR", err)
			}
			for _, m := range w.Messages {
				show(p.Observe(m, now))
			}
		}
	}
}
