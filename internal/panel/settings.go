package panel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/ad2"
)

// settable are the settings of the adapter that may be changed, with what makes a
// value of each.
var settable = map[string]func(string) bool{
	"MODE":        func(v string) bool { return v == "A" || v == "D" },
	"ADDRESS":     func(v string) bool { return len(v) == 2 && only(v, "0123456789") },
	"CONFIGBITS":  func(v string) bool { return len(v) == 4 && only(v, "0123456789abcdefABCDEF") },
	"MASK":        func(v string) bool { return len(v) == 8 && only(v, "0123456789abcdefABCDEF") },
	"EXP":         func(v string) bool { return len(v) == 5 && only(v, "YN") },
	"REL":         func(v string) bool { return len(v) == 4 && only(v, "YN") },
	"LRR":         func(v string) bool { return len(v) == 1 && only(v, "YN") },
	"COM":         func(v string) bool { return len(v) == 1 && only(v, "YN") },
	"DEDUPLICATE": func(v string) bool { return len(v) == 1 && only(v, "YN") },
}

func only(s, set string) bool { return strings.Trim(s, set) == "" }

// CheckSettings says whether settings can be sent to an adapter.
func CheckSettings(pairs string) error {
	if pairs == "" {
		return errors.New("there is no setting")
	}
	for pair := range strings.SplitSeq(pairs, "&") {
		key, value, _ := strings.Cut(pair, "=")
		right, known := settable[key]
		if !known {
			return fmt.Errorf("there is no setting %q: they are ADDRESS, MODE, MASK, CONFIGBITS, EXP, REL, LRR, COM and DEDUPLICATE", key)
		}
		if !right(value) {
			return fmt.Errorf("%s has no value %q: ADDRESS=18, MODE=A or D, MASK=ffffffff, CONFIGBITS=ff04, EXP=YNNNN, REL=NNNN, LRR=Y, DEDUPLICATE=N", key, value)
		}
	}
	return nil
}

// configure changes settings of the adapter, and waits until it shows them.
func (p *Panel) configure(ctx context.Context, o Order) (Outcome, error) {
	if err := CheckSettings(o.Settings); err != nil {
		return Outcome{}, &Error{What: err.Error(), Hint: "gatehouse panel config shows the present ones"}
	}
	if _, err := p.begin(ctx, 1); err != nil {
		return Outcome{}, err
	}
	me := new(int)
	if err := p.floor.take(ctx, me, delivering); err != nil {
		return Outcome{}, err
	}
	defer p.floor.give(me)
	if err := p.link.write([]byte("C" + o.Settings + "\r")); err != nil {
		return Outcome{}, &Error{What: err.Error(), Hint: "gatehouse panel config shows what the adapter has"}
	}
	asked := false
	want := ad2.DefaultSettings()
	var out Outcome
	is := func() bool {
		if p.panel.Config == nil {
			return false
		}
		want = *p.panel.Config
		_ = want.Set(o.Settings) // was checked
		out.Settings = p.panel.Config.String()
		return want == *p.panel.Config
	}
	for range 3 {
		done, err := p.await(ctx, delivering/3, is)
		if err != nil {
			return Outcome{}, err
		}
		if done && asked {
			out.Done, out.Said = true, "the adapter has the new settings"
			return out, nil
		}
		asked = true
		if err := p.link.write([]byte("C\r")); err != nil {
			return Outcome{}, &Error{What: err.Error(), Hint: "gatehouse panel config shows what the adapter has"}
		}
	}
	if done, err := p.await(ctx, delivering, is); err != nil || done {
		out.Done, out.Said = done, "the adapter has the new settings"
		return out, err
	}
	out.Said, out.Hint = "the adapter did not take the settings", "gatehouse panel config shows what it has"
	return out, nil
}

// Settings returns what the adapter said of its version and its settings; nil
// where it has not.
func (p *Panel) Settings(ctx context.Context) (v *ad2.Version, s *ad2.Settings, err error) {
	if _, err := p.begin(ctx, 1); err != nil {
		return nil, nil, err
	}
	if err := p.link.write([]byte("C\rV\r")); err != nil {
		return nil, nil, &Error{What: err.Error(), Hint: "gatehouse panel status says why"}
	}
	_, err = p.await(ctx, delivering, func() bool {
		v, s = p.panel.Version, p.panel.Config
		return v != nil && s != nil
	})
	return v, s, err
}
