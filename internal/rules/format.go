package rules

// Format is how the lines of a rule are written: what stands before the
// message, or which named fields they have.
type Format uint8

// The formats. A syslog header with a tag may precede each of them.
const (
	FormatUnset  Format = iota // on a Rule: as FormatSyslog; on a source: as its rules say
	FormatSyslog               // a message behind a syslog header, or a bare message
	FormatPlain                // a message behind a date of the program's own
	FormatAccess               // the access log of a web server, common or combined
	FormatJSON                 // one JSON object a line
)

var formatNames = [...]string{"", "syslog", "plain", "access", "json"}

// String returns the name as in a rule file; "" for FormatUnset.
func (f Format) String() string { return formatNames[f%Format(len(formatNames))] }

// hasFields reports whether patterns say what they want by the names of fields
// rather than by one expression on a message.
func (f Format) hasFields() bool { return f == FormatAccess || f == FormatJSON }
