package ad2

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Report is what the panel tells its alarm receiving centre, as the long-range
// radio hears it. Older firmware sends `!LRR:002,1,OPEN`, newer firmware
// `!LRR:002,1,CID_1401,ff` with a code of Contact ID (SIA DC-05).
type Report struct {
	Version   int    // 1 or 2
	Data      string // user or zone, three digits as a rule
	Partition string // 0 = all
	Event     string // as it came: ARM_AWAY, CID_3401
	Extra     string // fourth field of version 2: ff or 00 = none, else the last two digits of the code

	Prefix string // CID, DSC, ADEMCO, AD2; "" in version 1
	Status int    // 1 new or opened, 3 restored or closed, 6 still so; 0 in version 1
	Code   int    // the event code, read as hexadecimal digits; 0 in version 1
}

// Type implements Message.
func (*Report) Type() string { return "lrr" }

// Subject returns user or zone and partition as numbers; -1 where they are none.
func (r *Report) Subject() (data, partition int) {
	data, ok := decimal(r.Data)
	if !ok {
		data = -1
	}
	partition, ok = decimal(r.Partition)
	if !ok {
		partition = -1
	}
	return data, partition
}

func parseReport(line string) (*Report, error) {
	_, values, ok := strings.Cut(line, ":")
	parts := strings.Split(values, ",")
	if !ok || strings.Contains(values, ":") || len(parts) != 3 && len(parts) != 4 {
		return nil, invalid("a report says user or zone, partition and event")
	}
	r := &Report{Version: len(parts) - 2, Data: parts[0], Partition: parts[1], Event: parts[2]}
	if r.Version == 1 {
		return r, nil
	}
	r.Extra = parts[3]
	event := strings.Split(r.Event, "_")
	r.Prefix = event[0]
	if len(event) < 2 || len(event[1]) < 2 {
		return nil, invalid("the event of a report is not like CID_1401")
	}
	digits := event[1][1:]
	if r.Status, ok = decimal(event[1][:1]); !ok {
		return nil, invalid("the event of a report has no status")
	}
	if r.Code, ok = hexadecimal(digits); !ok {
		return nil, invalid("the event of a report has no code")
	}
	if r.Extra != "ff" && r.Extra != "00" {
		if r.Code, ok = hexadecimal(digits[:1] + r.Extra); !ok {
			return nil, invalid("the fourth field of a report is not hexadecimal")
		}
	}
	return r, nil
}

// source numbers the vocabulary that the code is taken from.
func (r *Report) source() int {
	switch r.Prefix {
	case "CID":
		return 1
	case "DSC":
		return 2
	case "ADEMCO":
		return 3
	case "AD2":
		return 4
	}
	return 5
}

// about is what the data of the report is: U a user, Z a zone, "" unknown.
func (r *Report) about() string {
	switch {
	case r.Version == 2 && r.Prefix == "CID":
		e, _ := contactID(r.Code)
		return e.about
	case r.Version == 2 && r.Prefix == "DSC" && dscZones[r.Code]:
		return "Z"
	}
	return ""
}

// dscZones are the codes of their own that DSC panels report about zones.
var dscZones = map[int]bool{0x4c: true, 0x4d: true, 0x51: true, 0xbf: true, 0x103: true, 0x12b: true, 0x570: true, 0x800: true}

// MarshalJSON implements json.Marshaler; the field words says it in plain words.
func (r *Report) MarshalJSON() ([]byte, error) {
	var extra, about any = r.Extra, r.about()
	if r.Version == 1 {
		extra, about = 255, nil
	}
	return json.Marshal(struct {
		Version   int    `json:"version"`
		Data      string `json:"event_data"`
		Partition string `json:"partition"`
		Event     string `json:"event_type"`
		Extra     any    `json:"report_code"`
		Prefix    string `json:"prefix"`
		Source    int    `json:"source"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
		About     any    `json:"data_type"`
		Words     string `json:"words,omitempty"`
	}{r.Version, r.Data, r.Partition, r.Event, extra, r.Prefix, r.source(), r.Status, strconv.FormatInt(int64(r.Code), 16), about, r.Words()})
}
