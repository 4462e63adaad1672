package logs

import (
	"os"
	"testing"
)

func TestReadsWhatIsThereAndWhatComes(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\ntwo\nthr")
	b.start("a.log")
	b.expect("one", "two")
	b.write("a.log", "ee\n")
	b.expect("one", "two", "three")
	b.stop()
	if b.batches[0].Live || !b.batches[1].Live {
		t.Error("what was there before is live, or what came is not")
	}
}

func TestRenameRotation(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.start("a.log")
	b.rename("a.log", "a.log.1")
	b.write("a.log.1", "two\n") // the writer has not noticed
	b.expect("one", "two")
	b.write("a.log", "three\n")
	b.expect("one", "two", "three")
	b.write("a.log.1", "late\n")
	b.expect("one", "two", "three", "late")
	b.stop()
}

func TestAppearsLater(t *testing.T) {
	b := newBench(t)
	b.start("deep/er/*.log")
	b.must(os.MkdirAll(b.path("deep/er"), 0o755))
	b.write("deep/er/a.log", "one\n")
	b.expect("one")
	b.stop()
}
