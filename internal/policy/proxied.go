package policy

import "gatehouse/internal/gate"

// proxied reports whether all that a finding rests on came by trusted proxies. The
// kernel never sees packets of such a subject, only those of the proxy: whoever
// came directly even once can be shut out by it.
func proxied(f *gate.Finding) bool {
	for _, list := range [...][]gate.Event{f.Proof.First, f.Proof.Last} {
		for i := range list {
			if !list[i].Detail.Proxied {
				return false
			}
		}
	}
	return len(f.Proof.First)+len(f.Proof.Last) > 0
}

// behindProxy is what the reason of a ban says that only a web server or the proxy
// can enforce.
const behindProxy = "; it comes by a trusted proxy, so only the web server or the proxy can refuse it"
