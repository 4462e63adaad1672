package fail2ban

import (
	"fmt"
	"regexp"
	"strings"
)

// What the tags for addresses stand for, in Python's syntax. The named groups
// tell later what kind of identity was found. What texts they take is part of what
// filters rely on, odd addresses included.
const (
	quadPart = `\d{1,3}`
	hexPart  = `[0-9A-Fa-f]{1,4}`
	exprIP4  = `(?:::f{4,6}:)?(?P<ip4>` + quadPart + `(?:\.` + quadPart + `){3})`
	exprIP6  = `(?P<ip6>(?:` + hexPart + `:{1,2}|:{2}){1,7}(?:` + hexPart + `|(?<=:):))`
	exprDNS  = `(?P<dns>[\w.^-]*\w)`
	exprAny  = `(?:` + exprIP4 + `|` + exprIP6 + `)`
	exprCIDR = `(?P<cidr>\d+)`
)

var hostTags = map[string]string{
	"HOST":   `(?:\[?` + exprAny + `\]?|` + exprDNS + `)`,
	"ADDR":   `\[?` + exprAny + `\]?`,
	"IP4":    exprIP4,
	"IP6":    exprIP6,
	"DNS":    exprDNS,
	"CIDR":   exprCIDR,
	"SUBNET": `\[?` + exprAny + `(?:/` + exprCIDR + `)?\]?`,
	"ID":     `(?P<fid>\S+)`,
	"PORT":   `(?P<fport>\w+)`,
}

var (
	anyTag    = regexp.MustCompile(`</?[\w\-]+/?>`)
	groupTag  = regexp.MustCompile(`^(/?)F-([A-Z0-9_\-]+)$`)
	shortTag  = regexp.MustCompile(`^(?:F-)?(IP4|IP6|ADDR|CIDR|SUBNET|DNS|ID|PORT)(/?)$`)
	loneFlags = regexp.MustCompile(`^\((?:\?:)?(\(\?[a-z]+)\)`)
)

// groupName is the name of the group that a tag F-XXX opens.
func groupName(tag string) string {
	switch tag = strings.ToLower(tag); tag {
	case "id":
		return "fid"
	case "port":
		return "fport"
	}
	return tag
}

// expandTags replaces <HOST> and its like, and F-tags, by groups. What is no
// such tag stays. Names says whether host names can stand for addresses.
func expandTags(expr string, names bool) string {
	open := map[string]bool{}
	skips := 0
	expr = anyTag.ReplaceAllStringFunc(expr, func(whole string) string {
		tag := whole[1 : len(whole)-1]
		switch {
		case tag == "HOST" && !names:
			return hostTags["ADDR"]
		case tag == "HOST":
			return hostTags["HOST"]
		case tag == "SKIPLINES":
			skips++
			return fmt.Sprintf(`\n(?P<skiplines%d>(?:(?:.*\n)*?))`, skips-1)
		}
		if m := shortTag.FindStringSubmatch(tag); m != nil {
			// Bare for the first six, or as <F-XXX/>.
			closed := strings.HasPrefix(tag, "F-") && m[2] == "/"
			bare := tag == m[1] && m[1] != "ID" && m[1] != "PORT"
			if closed || bare {
				return hostTags[m[1]]
			}
		}
		m := groupTag.FindStringSubmatch(tag)
		switch {
		case m == nil:
			return whole
		case m[1] == "":
			open[m[2]] = true
			return "(?P<" + groupName(m[2]) + ">"
		case open[m[2]]:
			return ")"
		}
		return whole
	})
	return localFlags(expr)
}

// localFlags makes ((?i)...) and (?:(?i)...) to (?i:...).
func localFlags(expr string) string {
	if !strings.Contains(expr, "(?") {
		return expr
	}
	var b strings.Builder
	for i := 0; i < len(expr); {
		if expr[i] == '(' && (i == 0 || expr[i-1] != '\\') {
			if m := loneFlags.FindStringSubmatch(expr[i:]); m != nil {
				b.WriteString(m[1] + ":")
				i += len(m[0])
				continue
			}
		}
		b.WriteByte(expr[i])
		i++
	}
	return b.String()
}
