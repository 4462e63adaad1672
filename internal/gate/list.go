package gate

// ListNews is what a sensor has read of a block list: a wish to put this content in
// force. It travels in an Ask, because a list is one subject and not a million.
type ListNews struct {
	Digest    uint64    `json:"digest,string"`        // of the content
	Prefixes  int       `json:"prefixes"`             // networks in it
	Addresses uint64    `json:"addresses"`            // IPv4 addresses in these
	Was       int       `json:"was,omitempty"`        // networks in what is in force now; 0 = nothing is
	WasCovers uint64    `json:"was_covers,omitempty"` // IPv4 addresses in these
	Source    string    `json:"source,omitempty"`     // where it comes from, without secrets
	Direction Direction `json:"direction,omitzero"`   // In, Out, or DirectionNone for both
	Shrink    int       `json:"shrink,omitempty"`     // by how many percent it may shrink at once
	Grow      int       `json:"grow,omitempty"`       // by how many percent it may grow at once
	Accepted  bool      `json:"accepted,omitempty"`   // a person has looked at it: the bounds do not count
}
