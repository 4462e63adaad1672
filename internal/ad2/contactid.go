package ad2

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// cidEvent is one code of Contact ID.
type cidEvent struct {
	about string // U: the data is a user, Z: a zone
	words string
}

// contactIDText is the table of codes: code, U or Z, words. SIA DC-05 has the
// codes; the words are ours.
//
//go:embed contactid.txt
var contactIDText string

// contactID returns a code's meaning, and whether it is known. The table has few
// hundred lines and is read rarely, so it is searched as it is.
func contactID(code int) (cidEvent, bool) {
	want := fmt.Sprintf("%03x ", code)
	for line := range strings.Lines(contactIDText) {
		if strings.HasPrefix(line, want) {
			about, words, _ := strings.Cut(strings.TrimSpace(line[len(want):]), " ")
			return cidEvent{about, words}, true
		}
	}
	return cidEvent{}, false
}

// v1Words are the events of reports without codes.
func v1Words(event string) string {
	switch event {
	case "OPEN":
		return "disarmed"
	case "ARM_AWAY", "ARMED_AWAY":
		return "armed away"
	case "ARM_STAY", "ARMED_STAY":
		return "armed stay"
	case "ACLOSS":
		return "mains power lost"
	case "AC_RESTORE":
		return "mains power is back"
	case "LOWBAT":
		return "battery of the panel low"
	case "LOWBAT_RESTORE":
		return "battery of the panel is good again"
	case "RFLOWBAT":
		return "battery of a wireless sensor low"
	case "RFLOWBAT_RESTORE":
		return "battery of a wireless sensor is good again"
	case "TEST_CALL":
		return "test report"
	}
	return strings.ToLower(strings.ReplaceAll(event, "_", " "))
}

// Words says what a report means: `burglary alarm, zone 5, partition 1`.
func (r *Report) Words() string { return r.words(true, true) }

// words says what a report means, with or without zone and partition.
func (r *Report) words(zone, place bool) string {
	data, partition := r.Subject()
	var b strings.Builder
	about := r.about()
	switch {
	case r.Version == 1:
		b.WriteString(v1Words(r.Event))
		about = v1About(r.Event)
	case r.Prefix == "CID":
		e, ok := contactID(r.Code)
		if !ok {
			e.words = "event " + strconv.FormatInt(int64(r.Code), 16) + " of Contact ID"
		}
		b.WriteString(e.words)
		switch {
		case isOpenClose(r.Code) && r.Status == 3:
			b.Reset()
			b.WriteString("armed" + strings.TrimPrefix(e.words, "disarmed or armed"))
		case isOpenClose(r.Code):
			b.Reset()
			b.WriteString("disarmed" + strings.TrimPrefix(e.words, "disarmed or armed"))
		case r.Status == 3:
			b.WriteString(": over")
		case r.Status == 6:
			b.WriteString(": still so")
		}
	default:
		b.WriteString("event " + strconv.FormatInt(int64(r.Code), 16) + " of " + r.Prefix)
	}
	switch {
	case data > 0 && about == "U":
		fmt.Fprintf(&b, ", user %d", data)
	case data > 0 && about == "Z" && zone:
		fmt.Fprintf(&b, ", zone %d", data)
	}
	if partition > 0 && place {
		fmt.Fprintf(&b, ", partition %d", partition)
	}
	return b.String()
}

// v1About is what the data of a report without codes is.
func v1About(event string) string {
	switch {
	case event == "OPEN", strings.HasPrefix(event, "ARM"), strings.HasPrefix(event, "CANCEL"):
		return "U"
	case strings.HasPrefix(event, "ALARM"), strings.HasPrefix(event, "BYPASS"), strings.HasPrefix(event, "RFLOWBAT"), strings.HasPrefix(event, "TROUBLE"):
		return "Z"
	}
	return ""
}

// isOpenClose reports whether a code tells of disarming (status 1) and arming
// (status 3).
func isOpenClose(code int) bool {
	switch code {
	case 0x400, 0x401, 0x402, 0x403, 0x407, 0x408, 0x409, 0x441, 0x442:
		return true
	}
	return false
}
