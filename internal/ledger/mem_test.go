package ledger
import ("testing";"os";"strings";"fmt";"runtime";"runtime/debug")
func TestMem(t *testing.T) {
	rss := func(s string) { debug.FreeOSMemory(); var m runtime.MemStats; runtime.ReadMemStats(&m); b,_ := os.ReadFile("/proc/self/status"); for _, l := range strings.Split(string(b),"\n") { if strings.HasPrefix(l,"RssAnon") { fmt.Println(s, l, "heap", m.HeapInuse>>10, "sys", m.Sys>>10, "rel", m.HeapReleased>>10) } } }
	dir := t.TempDir()
	l, stop := start(t, dir, Options{})
	rss("open")
	func() { commit(t, l, Txn{Decisions: shuffled(100_000,1)}) }()
	rss("100k")
	l.do(t.Context(), func() error { l.tidy(); return nil })
	rss("tidy")
	stop()
	l = nil
	rss("closed")
}
