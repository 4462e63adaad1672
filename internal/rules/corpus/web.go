package corpus

import (
	"fmt"
	"time"
)

// AccessLog returns n lines of an access log in the combined format, 202 bytes
// each on average. One in ten is a probe or was refused.
func AccessLog(n int) []byte {
	m := newMaker()
	m.Grow(n * 210)
	for i := range n {
		m.at = m.at.Add(30 * time.Millisecond)
		path, status := "", 200
		if i%10 == 9 {
			path, status = m.probe()
		} else {
			path = m.of("/", "/index.html", "/products/list?page=2&sort=price", "/assets/app.3f2a9c.js", "/assets/site.css", "/api/v1/items/17", "/images/logo.png", "/blog/2026/11/how-we-log", "/feed.xml", "/cart/checkout/step-2", "/favicon.ico")
			status = []int{200, 200, 200, 304, 301, 206}[m.IntN(6)]
		}
		fmt.Fprintf(m, "%s - - [%s] \"%s %s HTTP/%s\" %d %d \"%s\" \"%s\"\n", m.addr(5000), m.at.Format("02/Jan/2006:15:04:05 -0700"), m.of("GET", "GET", "GET", "POST"), path, m.of("1.1", "2.0"), status, m.IntN(90000),
			m.of("-", "https://www.example.org/", "https://www.example.org/products/list?page=1"),
			m.of("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0"))
	}
	return m.Bytes()
}

func (m *maker) probe() (path string, status int) {
	switch m.IntN(4) {
	case 0:
		return m.of("/old/page", "/shop/item-17", "/robots.txt.bak", "/images/none.gif"), 404
	case 1:
		return m.of("/account", "/api/v1/admin", "/private/"), 401
	case 2:
		return m.of("/wp-login.php", "/xmlrpc.php", "/wp-admin/setup-config.php", "/wp-content/plugins/hello.php?cmd=id"), 404
	}
	return m.of("/.env", "/.git/config", "/phpmyadmin/index.php", "/cgi-bin/luci/;stok=/locale", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/?q=1%20UNION%20SELECT%201,2", "/../../etc/passwd", "/actuator/health", "/solr/admin/info/system", "/HNAP1/"), 404
}

// WebRules returns five rules, as YAML, with 46 expressions for an access log:
// probes for well-known holes, refused passwords, missing pages, bad agents.
func WebRules() (out []string) {
	for _, r := range webServices {
		y := fmt.Sprintf("rule: %s\ntitle: %s\nevidence: proven\nformat: access\npatterns:\n", r.name, r.name)
		for i, w := range r.where {
			y += fmt.Sprintf("  - {name: p%d, class: failure, where: {%s}}\n", i+1, w)
		}
		out = append(out, y)
	}
	return out
}

// paths are conditions on what was asked for.
func paths(exprs ...string) (out []string) {
	for _, e := range exprs {
		out = append(out, "path: '"+e+"'")
	}
	return out
}

var webServices = []struct {
	name  string
	where []string
}{
	{"web-probe", append(paths(
		`/\.env(?:\.[a-z]+)?(?:\?|$)`, `/\.git/(?:config|HEAD)`, `/\.aws/credentials`, `/\.ssh/`, `/\.DS_Store$`, `/\.svn/`, `/\.htpasswd`,
		`/phpunit/.*eval-stdin\.php`, `(?:/etc/passwd|%2fetc%2fpasswd)`, `\.\./\.\./`, `%2e%2e(?:/|%2f)`, `^/cgi-bin/.*;`, `^/HNAP1`, `^/boaform/`, `^/GponForm/`, `^/shell\?`, `^/solr/admin/`, `^/actuator/`,
		`^/manager/html`, `^/jenkins/`, `^/owa/auth`, `^/autodiscover/autodiscover`, `^/ecp/Current/`, `^/_ignition/execute-solution`, `^/telescope/requests`, `^/struts2?-`, `^/invoker/JMXInvokerServlet`,
		`(?i:union(?:%20|\+)+(?:all(?:%20|\+)+)?select)`, `(?i:<script|%3cscript)`, `\$\{jndi:`, `^\\x[0-9a-fA-F]{2}`,
	), `method: '^(?:CONNECT|PROPFIND)$'`)},
	{"wordpress", []string{
		`method: '^POST$', path: '/wp-login\.php(?:\?|$)'`, `path: '/xmlrpc\.php'`, `path: '/wp-admin/setup-config\.php'`, `path: '/wp-content/plugins/.*\.php\?cmd='`, `path: '/wp-json/wp/v2/users'`,
	}},
	{"phpmyadmin", paths(`/(?i:phpmyadmin|pma|myadmin)/`, `^/mysql/admin/`, `/adminer(?:-[0-9.]+)?\.php`)},
	{"web-refused", []string{"status: 401", "status: 403", "status: 404"}},
	{"web-agent", []string{
		`agent: '(?:sqlmap|nikto|masscan|zgrab|Nuclei|dirbuster)'`, `agent: '^(?:Go-http-client|python-requests|libwww-perl)/[0-9.]+$'`, `status: 400, request: '^[^ ]*$'`,
	}},
}
