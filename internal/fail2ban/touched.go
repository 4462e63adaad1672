package fail2ban

import (
	"bytes"
	"slices"
)

// linesOf tells the lines that a match touches from those it does not, which
// stay buffered. What <SKIPLINES> went over was not touched.
func linesOf(e *expression, caps []int32, b []byte, org [][]byte) (hit, left [][]byte) {
	start, end := int(caps[0]), int(caps[1])
	first := bytes.Count(b[:1+bytes.LastIndexByte(b[:min(start+1, len(b))], '\n')], []byte{'\n'})
	to := len(b)
	if i := bytes.IndexByte(b[max(0, end-1):], '\n'); i >= 0 {
		to = max(0, end-1) + i + 1
	}
	last := bytes.Count(b[:to], []byte{'\n'})
	first, last = min(first, len(org)), min(last, len(org))
	last = max(first, last)
	hit = slices.Clone(org[first:last])
	left = slices.Clone(org[:first])
	n := 0
	for _, skipped := range skippedLines(e, caps, b) {
		for m := n; m < len(hit); m++ {
			if bytes.Equal(hit[m], skipped) {
				left = append(left, hit[m])
				hit = slices.Delete(hit, m, m+1)
				n = m
				break
			}
		}
	}
	return hit, append(left, org[last:]...)
}

func skippedLines(e *expression, caps []int32, b []byte) (out [][]byte) {
	var all []byte
	for _, g := range e.skips {
		if caps[2*g] >= 0 {
			all = append(all, b[caps[2*g]:caps[2*g+1]]...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(all, []byte{'\n'}), []byte{'\n'})
}
